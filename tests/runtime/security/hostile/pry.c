/* Looks into every other process of its pid namespace, for ever: the first descriptor or memory of one that is still the runtime is written to /work/found. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

int main(void)
{
    int self = getpid();
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        DIR *proc = opendir("/proc");
        for (struct dirent *e; (e = readdir(proc)) != 0;) {
            int pid = atoi(e->d_name);
            if (pid <= 0 || pid == self)
                continue;
            char path[64], exe[512];
            snprintf(path, sizeof path, "/proc/%d/exe", pid);
            ssize_t n = readlink(path, exe, sizeof exe - 1);
            if (n <= 0)
                continue;
            exe[n] = 0;
            /* The runtime may lie on a mount of its own, where its path is "/": all that is not of this image is it. */
            if (!strstr(exe, "busybox") && !strstr(exe, "pry")) {
                int fd = open("/work/found", O_WRONLY | O_CREAT | O_APPEND, 0644);
                dprintf(fd, "%d is %s\n", pid, exe);
                close(fd);
            }
        }
        closedir(proc);
    }
}
