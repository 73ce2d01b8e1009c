/* Tries to open for writing what /proc/self/fd/3 and up lead to, for two seconds: a running program's file is busy, one that has ended is not. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    char path[64], target[512];
    FILE *out = fopen("/work/result", "w");
    int last = 0, reached = 0;
    for (time_t end = time(0) + 2; time(0) <= end;)
        for (int n = 3; n < 16; n++) {
            struct stat st;
            if (fstat(n, &st) != 0 || !S_ISREG(st.st_mode) || n == fileno(out))
                continue;
            reached = 1;
            snprintf(path, sizeof path, "/proc/self/fd/%d", n);
            int fd = open(path, O_WRONLY | O_TRUNC);
            if (fd >= 0) {
                if (write(fd, "#!/bin/overwritten\n", 19) == 19)
                    last = -1;
                goto done;
            }
            last = errno;
        }
done:
    memset(target, 0, sizeof target);
    fprintf(out, "%s %s\n", reached ? "reached" : "nothing", last < 0 ? "WRITTEN" : strerror(last));
    fclose(out);
    return 0;
}
