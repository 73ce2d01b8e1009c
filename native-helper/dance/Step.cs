using System.Runtime.InteropServices;

namespace Psrun.Dance;

/// <summary>What the child does in one step. All but the first few are plain system calls.</summary>
enum StepKind
{
    /// <summary>A system call with up to six arguments.</summary>
    Call,
    /// <summary>
    /// Copies to A0 those pages (of A4 bytes) of the A2 bytes at A1 that are not the mapped file's any more. A3: their entries of /proc/self/pagemap (proc_pid_pagemap(5)).
    /// </summary>
    CopyWritten,
    /// <summary>
    /// Opens path A1 inside the root A0 with openat2(RESOLVE_IN_ROOT); what is missing is made: folders, or by A2 an empty file at its end. Fails with
    /// EOPNOTSUPP when that lies in a procfs and A2 does not allow it.
    /// </summary>
    OpenTarget,
    /// <summary>
    /// Opens the file A0 of procfs (a path below /proc), writes A2 bytes from A1 to it in one write, closes it. Fails with EXDEV when /proc is not the procfs itself, or
    /// something is mounted on the way.
    /// </summary>
    WriteProc,
    /// <summary>Tells the parent point A0, and waits for its byte when A1 = 1. The parent's death ends the child.</summary>
    Sync,
    /// <summary>Clones with clone_args A0 (CLONE_PARENT among its flags): the clone walks on, the cloner reports the new pid and ends.</summary>
    CloneSibling,
    /// <summary>Skips A1 steps when descriptor A0 is not a folder; with A2 = 1, when it is one.</summary>
    SkipUnlessFolder,
    /// <summary>Fails with ENODEV unless descriptor A0 is the character device A1 (makedev).</summary>
    RequireDevice,
    /// <summary>Chooses the first of the candidates at A0 (array of A1 paths) that may be executed, into the result cell.</summary>
    FindProgram,
    /// <summary>Sets every signal to its default action and empties the mask.</summary>
    ResetSignals,
    /// <summary>Waits until somebody connects to the listening socket A0: a failing execve is told there.</summary>
    AwaitStart,
    /// <summary>execve of A0 with argv A1 and environment A2; a failure is told and ends the child.</summary>
    Execute,
    /// <summary>Runs argv A1 of program A0 with environment A2, standard input from descriptor A3, for at most A4 milliseconds; fails with ECHILD and its status when it does.</summary>
    RunProgram,
    /// <summary>Copies what is in folder A0 into folder A1, with A2 = 1 also its owner and mode.</summary>
    CopyFolder,
    /// <summary>Gives folder A1 the mode of what descriptor A0 is.</summary>
    CopyMode,
    /// <summary>Closes all descriptors from 3 on but those below A0 that came from the caller, the A2 numbers (int) at A1, and the two to the parent.</summary>
    CloseOthers,
}

/// <summary>
/// One step of the plan, in unmanaged memory. Bit i of <see cref="Indirect"/> says that argument i is the address of a cell that holds the
/// value, because an earlier step produces it.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
unsafe struct Step
{
    public StepKind Kind;
    public int Indirect;
    public nint Number;
    public nint A0, A1, A2, A3, A4, A5;
    /// <summary>Where the result goes; null when nobody needs it.</summary>
    public nint* Result;
    /// <summary>Errors that mean "nothing to do here": the step counts as done and <see cref="SkipWhenTolerated"/> further ones are left out.</summary>
    public int Tolerated0, Tolerated1, Tolerated2;
    public int SkipWhenTolerated;
}

/// <summary>What the child writes to its parent: fixed size, one write, so it arrives whole.</summary>
[StructLayout(LayoutKind.Sequential)]
struct Report
{
    public const int Failure = 1, Reached = 2, ChildPid = 3;

    public int Kind;
    /// <summary>The failing step's index (its kind, when `start` is told), the point reached, or the new pid.</summary>
    public int Value;
    public int Errno;
    public int Detail;
}
