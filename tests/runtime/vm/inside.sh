#!/bin/bash
# The machine's one service: the tests, and one line of counts for who started the machine.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export DOTNET_ROOT=/opt/dotnet DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_TieredPGO=0
export CONTAINERS_TEST_SLOW=1
export PSRUN=/opt/psrun/psrun CONTAINERS_PSRUN=/opt/psrun/psrun
[ ! -s /opt/runtime ] || export CONTAINERS_TEST_RUNTIME=$(cat /opt/runtime)
cd /root
uname -a
stat -f -c 'control groups: %T' /sys/fs/cgroup
criu check 2>&1 | tail -1
/opt/dotnet/dotnet exec /opt/dotnet/sdk/*/vstest.console.dll /opt/tests/Containers.Tests.Runtime.dll --TestCaseFilter:"$(cat /opt/filter)" \
    --logger:"trx;LogFileName=/opt/results.trx" --logger:"console;verbosity=normal" 2>&1
counters=$(grep -oE '<Counters [^>]*>' /opt/results.trx | head -1)
number() { local value; value=$(sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$counters"); echo "${value:-0}"; }
executed=$(number executed) passed=$(number passed)
[ "$executed" = 0 ] || echo "vm: $passed passed, $((executed - passed)) failed, $(($(number total) - executed)) skipped on $(uname -r)"
sync
