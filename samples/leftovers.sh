#!/bin/sh
# usage: leftovers.sh MARK [FOLDER…]
# Counts what on this host still carries MARK in its name: mounts of any mount namespace, cgroups, processes, the namespaces
# that those processes or bind mounts hold, and files below the system's folders for state and below FOLDER.
# Knows the kernel, and nothing of who made them.
# The last line is "left behind: nothing" with exit status 0, or what is left with exit status 1.
mark=${1:?usage: leftovers.sh MARK [FOLDER…]}
shift
me=$$
seen=
list=$(mktemp) || exit 2
trap 'rm -f "$list"' EXIT

# the callers of this script carry the mark on their command line
callers=" "
caller=$me
while [ "${caller:-0}" -gt 1 ]; do
    callers="$callers$caller "
    caller=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$caller/status" 2>/dev/null)
done

for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    case $callers in *" $pid "*) continue ;; esac

    if { grep -qF -- "$mark" "$process/cgroup" || tr '\0' ' ' <"$process/cmdline" | grep -qF -- "$mark"; } 2>/dev/null; then
        # a pipe of this very loop is gone by now
        name=$(cat "$process/comm" 2>/dev/null) || continue
        # an orphan that has ended is init's to collect, when it comes to it; a child of our caller is not
        case $(sed -n 's/^\(State\|PPid\):[[:space:]]*\([^[:space:]]*\).*/\2/p' "$process/status" 2>/dev/null | tr '\n' ' ') in
            "Z $PPID "*) ;;
            "Z "*) continue ;;
        esac
        echo "process $pid $name" >>"$list"
        for kind in cgroup ipc mnt net pid time user uts; do
            space=$(readlink "$process/ns/$kind" 2>/dev/null) || continue
            [ "$space" = "$(readlink "/proc/$me/ns/$kind")" ] || echo "namespace $space" >>"$list"
        done
    fi
    # one line for each mount: "namespace mount-id … path"; a mount namespace is read once
    space=$(readlink "$process/ns/mnt" 2>/dev/null) || continue
    case $seen in *"$space"*) continue ;; esac
    seen="$seen $space"
    grep -F -- "$mark" "$process/mountinfo" 2>/dev/null | while read -r id _ _ _ target rest; do
        echo "mount $space $id $target" >>"$list"
        case $rest in *" - nsfs "*) echo "namespace $target" >>"$list" ;; esac
    done
done

find /sys/fs/cgroup -type d -name "*$mark*" 2>/dev/null | sed 's/^/cgroup /' >>"$list"
# the journal of events is there to stay
find /run /var/lib /var/lock /var/tmp /tmp /dev/shm /etc "$@" -xdev -name "*$mark*" ! -path '*/events/*' 2>/dev/null | sed 's/^/file /' >>"$list"

sort -u "$list" -o "$list"
sed 's/^/  /' "$list"
total=""
for kinds in mount:mounts cgroup:cgroups process:processes namespace:namespaces file:files; do
    count=$(grep -c "^${kinds%:*} " "$list")
    case $count in
        0) continue ;;
        1) word=${kinds%:*} ;;
        *) word=${kinds#*:} ;;
    esac
    total="$total${total:+, }$count $word"
done
echo "left behind: ${total:-nothing}"
[ -z "$total" ]
