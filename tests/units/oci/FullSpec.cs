namespace Containers.Tests.Units.Oci;

static class FullSpec
{
    /// <summary>A document with every member that runtime-spec 1.3.0 names for Linux, and the other systems' sections.</summary>
    public const string Json = """
    {"ociVersion":"1.3.0",
     "process":{"terminal":true,"consoleSize":{"height":25,"width":80},
       "user":{"uid":1,"gid":2,"umask":18,"additionalGids":[5,6],"username":"u"},
       "args":["sh","-c","echo 'hi <there>' + \u00e9"],"commandLine":"cmd","env":["A=1","B="],"cwd":"/",
       "capabilities":{"bounding":["CAP_CHOWN"],"effective":["CAP_KILL"],"inheritable":[],"permitted":["CAP_KILL"],"ambient":["CAP_KILL"]},
       "rlimits":[{"type":"RLIMIT_NOFILE","hard":18446744073709551615,"soft":1024}],
       "noNewPrivileges":true,"apparmorProfile":"p","oomScoreAdj":-500,
       "scheduler":{"policy":"SCHED_DEADLINE","nice":-3,"priority":10,"flags":["SCHED_FLAG_RESET_ON_FORK"],"runtime":1,"deadline":2,"period":3},
       "selinuxLabel":"l","ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":4},"execCPUAffinity":{"initial":"0","final":"0-1"}},
     "root":{"path":"rootfs","readonly":true},"hostname":"h","domainname":"d",
     "mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid"],
       "uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"gidMappings":[{"containerID":0,"hostID":1000,"size":1}]}],
     "hooks":{"prestart":[{"path":"/a","args":["a"],"env":["X=1"],"timeout":3}],"createRuntime":[{"path":"/b"}],"createContainer":[{"path":"/c"}],
       "startContainer":[{"path":"/d"}],"poststart":[{"path":"/e"}],"poststop":[{"path":"/f"}]},
     "annotations":{"com.example.k":"v","":"empty"},
     "linux":{"uidMappings":[{"containerID":0,"hostID":1000,"size":65536}],"gidMappings":[{"containerID":0,"hostID":1000,"size":65536}],
       "sysctl":{"net.ipv4.ip_forward":"1"},
       "resources":{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"r"}],
         "memory":{"limit":1,"reservation":2,"swap":-1,"kernel":4,"kernelTCP":5,"swappiness":60,"disableOOMKiller":true,"useHierarchy":true,"checkBeforeUpdate":true},
         "cpu":{"shares":1024,"quota":-1,"burst":5,"period":100000,"realtimeRuntime":1,"realtimePeriod":2,"cpus":"0-1","mems":"0","idle":1},
         "pids":{"limit":10},
         "blockIO":{"weight":10,"leafWeight":11,"weightDevice":[{"major":8,"minor":0,"weight":12,"leafWeight":13}],
           "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1}],"throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2}],
           "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":3}],"throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":4}]},
         "hugepageLimits":[{"pageSize":"2MB","limit":9223372036854775808}],
         "network":{"classID":1048577,"priorities":[{"name":"eth0","priority":500}]},
         "rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000}},
         "unified":{"memory.high":"1000"}},
       "cgroupsPath":"/a/b","namespaces":[{"type":"pid","path":"/proc/1/ns/pid"},{"type":"mount"}],
       "devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,"fileMode":438,"uid":0,"gid":0}],
       "netDevices":{"eth0":{"name":"container_eth0"},"ens4":{}},
       "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],
         "listenerPath":"/run/s","listenerMetadata":"m","syscalls":[{"names":["getcwd"],"action":"SCMP_ACT_ERRNO","errnoRet":1,
           "args":[{"index":5,"value":18446744073709551615,"valueTwo":7,"op":"SCMP_CMP_MASKED_EQ"}]}]},
       "rootfsPropagation":"slave","maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],"mountLabel":"ml",
       "intelRdt":{"closID":"g","schemata":["L3:0=f"],"l3CacheSchema":"L3:0=7f0","memBwSchema":"MB:0=20","enableMonitoring":true},
       "memoryPolicy":{"mode":"MPOL_INTERLEAVE","nodes":"0-1","flags":["MPOL_F_STATIC_NODES"]},
       "personality":{"domain":"LINUX32","flags":[]},
       "timeOffsets":{"monotonic":{"secs":-172800,"nanosecs":5}}},
     "solaris":{"milestone":"x"},"windows":{"layerFolders":["C:\\"]},"vm":{"kernel":{"path":"/k"}},"zos":{"namespaces":[]},"freebsd":{"jail":{"host":"new"}}}
    """;

    public static byte[] Bytes => System.Text.Encoding.UTF8.GetBytes(Json);
}
