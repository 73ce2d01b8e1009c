// Prints the security label of the session keyring (keyctl(2), KEYCTL_GET_SECURITY).
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
    char label[4096];
    long length = syscall(SYS_keyctl, KEYCTL_GET_SECURITY, KEY_SPEC_SESSION_KEYRING, label, sizeof label);
    if (length < 0 || length > (long)sizeof label) {
        perror("keyctl");
        return 1;
    }
    puts(label);
    return 0;
}
