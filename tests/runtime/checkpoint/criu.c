// A program that speaks as `criu swrk` does (images/rpc.proto), and does what a test has written down: in $FAKE_CRIU, file plan-N for the N-th start, one line for each step.
//   ask            waits for a request
//   version A B C  answers with a version          features M L  answers with two features
//   notice NAME    tells of a step, and waits for the answer; with the pid of `spawn`, if there was one
//   terminal       as notice orphan-pts-master, with the master of a new terminal
//   spawn          makes a sibling that sleeps, in new mount and pid namespaces
//   done TYPE      the last answer: success        fail TYPE WORDS  the last answer: failure
//   say WORDS      to standard error               die            ends at once
// Every message that comes is kept in message-N-M.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int sock, run, count, spawned;
static char folder[4000];

static void die(const char *what)
{
    fprintf(stderr, "fake criu: %s: %s\n", what, strerror(errno));
    exit(3);
}

static unsigned char *number(unsigned char *to, int field, unsigned value)
{
    for (unsigned key = field << 3; ; key >>= 7) {
        *to++ = key >= 0x80 ? key | 0x80 : key;
        if (key < 0x80)
            break;
    }
    for (; value >= 0x80; value >>= 7)
        *to++ = value | 0x80;
    *to++ = value;
    return to;
}

static unsigned char *block(unsigned char *to, int field, const void *bytes, int length)
{
    *to++ = field << 3 | 2;
    *to++ = length; // short ones alone
    memcpy(to, bytes, length);
    return to + length;
}

static void keep(void)
{
    static char buffer[1 << 18];
    char name[4096];
    int length = recv(sock, buffer, sizeof buffer, 0);
    if (length < 0)
        die("recv");
    if (length == 0)
        exit(4);
    snprintf(name, sizeof name, "%s/message-%d-%d", folder, run, count++);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, buffer, length) != length)
        die(name);
    close(fd);
}

static void tell(unsigned char *message, unsigned char *end, int fd)
{
    struct iovec part = { message, end - message };
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct msghdr head = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        head.msg_control = control;
        head.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&head);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    if (sendmsg(sock, &head, MSG_NOSIGNAL) < 0)
        exit(5);
}

static void notice(const char *name, int fd)
{
    unsigned char message[300], inner[200], *at = number(number(message, 1, 6), 2, 1), *in = block(inner, 1, name, strlen(name));
    if (spawned)
        in = number(in, 2, spawned);
    tell(message, block(at, 5, inner, in - inner), fd);
    keep();
}

int main(int argc, char **argv)
{
    char name[4096], line[300], word[100];
    if (argc != 3 || strcmp(argv[1], "swrk") != 0)
        return 2;
    sock = atoi(argv[2]);
    snprintf(folder, sizeof folder, "%s", getenv("FAKE_CRIU"));
    for (run = 0; ; run++) {
        snprintf(name, sizeof name, "%s/started-%d", folder, run);
        if (mkdir(name, 0700) == 0)
            break;
        if (errno != EEXIST)
            die(name);
    }
    snprintf(name, sizeof name, "%s/plan-%d", folder, run);
    FILE *plan = fopen(name, "re");
    if (plan == NULL)
        die(name);
    while (fgets(line, sizeof line, plan)) {
        unsigned char message[300], inner[300], *at, *in;
        unsigned a = 0, b = 0, c = 0;
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "ask") == 0)
            keep();
        else if (sscanf(line, "version %u %u %u", &a, &b, &c) == 3) {
            in = number(number(number(inner, 1, a), 2, b), 4, c);
            at = number(number(message, 1, 10), 2, 1);
            tell(message, block(at, 10, inner, in - inner), -1);
        } else if (sscanf(line, "features %u %u", &a, &b) == 2) {
            in = number(number(inner, 1, a), 2, b);
            at = number(number(message, 1, 9), 2, 1);
            tell(message, block(at, 8, inner, in - inner), -1);
        } else if (sscanf(line, "notice %99s", word) == 1)
            notice(word, -1);
        else if (strcmp(line, "terminal") == 0) {
            int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
            if (master < 0)
                die("/dev/ptmx");
            notice("orphan-pts-master", master);
            if (write(master, "restored\n", 9) != 9)
                die("terminal");
        } else if (strcmp(line, "spawn") == 0) {
            spawned = syscall(SYS_clone, CLONE_PARENT | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0);
            if (spawned < 0)
                die("clone");
            if (spawned == 0) {
                close(sock);
                mount("proc", "/proc", "proc", 0, NULL);
                execl("/bin/busybox", "busybox", "sleep", "1000", NULL);
                _exit(1);
            }
        } else if (sscanf(line, "done %u", &a) == 1) {
            at = number(number(message, 1, a), 2, 1);
            if (spawned) {
                in = number(inner, 1, spawned);
                at = block(at, 4, inner, in - inner);
            }
            tell(message, at, -1);
        } else if (sscanf(line, "fail %u %99[^\n]", &a, word) == 2) {
            at = number(number(message, 1, a), 2, 0);
            tell(message, block(at, 9, word, strlen(word)), -1);
        } else if (sscanf(line, "say %99[^\n]", word) == 1)
            fprintf(stderr, "%s\n", word);
        else if (strcmp(line, "die") == 0)
            return 1;
        else
            return 6;
    }
    // Until the other side has heard enough.
    char last;
    while (recv(sock, &last, 1, 0) > 0)
        ;
    return 0;
}
