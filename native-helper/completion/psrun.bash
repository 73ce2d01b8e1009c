# bash completion for psrun(8): commands, their options, ids of containers, files. A test holds it to `psrun COMMAND --help`.

_psrun_ids() {
    local root=/run/psrun i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == --root ]] && root=${COMP_WORDS[i + 1]}
    done
    [[ -d $root ]] && compgen -W "$(command ls "$root" 2>/dev/null)" -- "$1"
}

_psrun() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb= i options=
    local global='--root --log --log-format --debug --systemd-cgroup --cgroup-manager --rootless --criu -v --version -h --help'
    local verbs='create start run exec state kill delete list ps update events pause resume checkpoint restore spec features unpack pack copy item namespace unit shim attach help'
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --root | --log | --log-format | --cgroup-manager | --rootless | --criu) ((i++)) ;;
            -*) ;;
            *) verb=${COMP_WORDS[i]}; break ;;
        esac
    done

    case $prev in
        --log-format) COMPREPLY=($(compgen -W 'text json' -- "$cur")); return ;;
        --rootless) [[ -z $verb ]] && { COMPREPLY=($(compgen -W 'auto true false' -- "$cur")); return; } ;;
        --format) COMPREPLY=($(compgen -W 'table json' -- "$cur")); return ;;
        --root | -b | --bundle | --cwd | --image-path | --work-path | --parent-path) COMPREPLY=($(compgen -d -- "$cur")); return ;;
        --log | --criu | --pid-file | --console-socket | --pidfd-socket | -p | --process | -r | --resources) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    esac
    if [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$global $verbs" -- "$cur"))
        return
    fi

    local create='-b --bundle --pid-file --console-socket --pidfd-socket --preserve-fds --no-pivot --no-new-keyring'
    case $verb in
        create) options=$create ;;
        run) options="$create -d --detach --keep --no-subreaper" ;;
        exec) options='-p --process --cwd -e --env -t --tty -u --user -g --additional-gids -c --cap --no-new-privs -d --detach --pid-file --console-socket --pidfd-socket --preserve-fds --cgroup --ignore-paused --apparmor --process-label' ;;
        kill) options='-a --all' ;;
        delete) options='-f --force' ;;
        list) options='-q --quiet -f --format' ;;
        ps) options='-f --format' ;;
        update) options='-r --resources --memory --memory-reservation --memory-swap --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-idle --cpu-rt-period --cpu-rt-runtime --cpuset-cpus --cpuset-mems --blkio-weight --pids-limit --kernel-memory --kernel-memory-tcp --l3-cache-schema --mem-bw-schema' ;;
        events) options='--stats --interval' ;;
        checkpoint) options='--image-path --work-path --parent-path --leave-running --tcp-established --tcp-skip-in-flight --link-remap --ext-unix-sk --shell-job --lazy-pages --status-fd --page-server --file-locks --pre-dump --manage-cgroups-mode --empty-ns --auto-dedup' ;;
        restore) options='-b --bundle -d --detach --console-socket --pid-file --no-pivot --no-subreaper --image-path --work-path --tcp-established --ext-unix-sk --shell-job --file-locks --manage-cgroups-mode --empty-ns --auto-dedup --lazy-pages --lsm-profile --lsm-mount-context' ;;
        spec) options='-b --bundle --rootless' ;;
        pack) options='--lower --tree --whole --archive --compression --list' ;;
        copy) options='--lower --path' ;;
        item) options='--pid --start-time --folder --mounts --binds --follow --owner --extract' ;;
        unpack) options='--compression --diff-id --base --lower --max-bytes --max-entries --max-ratio --progress' ;;
        namespace) options='--keep --uid-map --gid-map --time-offset --hostname --keep-init --join --root --cwd --user --report --terminal' ;;
        unit) options='--runtime --property' ;;
        attach) options='--run-dir --report --exec --request --input --terminal --detach-keys' ;;
        shim) options='--run-dir --serve --compress' ;;
        help) COMPREPLY=($(compgen -W "$verbs" -- "$cur")); return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options -h --help" -- "$cur"))
    elif [[ $verb == kill && $COMP_CWORD -gt $((i + 1)) && ${COMP_WORDS[COMP_CWORD - 1]} != -* ]]; then
        COMPREPLY=($(compgen -A signal -- "$cur"))
    elif [[ $verb == unpack || $verb == pack || $verb == copy || $verb == item ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    else
        COMPREPLY=($(_psrun_ids "$cur"))
    fi
}

complete -F _psrun psrun
