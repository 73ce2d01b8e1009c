// Prints the security label of the session keyring (keyctl(2), KEYCTL_GET_SECURITY), or with an argument its serial number.
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        printf("%ld\n", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
        return 0;
    }
    char label[4096];
    long length = syscall(SYS_keyctl, KEYCTL_GET_SECURITY, KEY_SPEC_SESSION_KEYRING, label, sizeof label);
    if (length < 0 || length > (long)sizeof label) {
        perror("keyctl");
        return 1;
    }
    puts(label);
    return 0;
}
