using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>
/// Holds the rule at the top of native-helper/dance/Child.cs: what runs between clone and execve allocates nothing, throws nothing, touches no static
/// state, and calls nothing but the raw entries of libc and its own file.
/// </summary>
public class ChildRuleTests
{
    static readonly HashSet<string> s_forbidden =
    [
        "newobj", "newarr", "box", "ldstr", "throw", "rethrow", "callvirt", "calli", "ldsfld", "ldsflda", "stsfld", "castclass", "isinst", "unbox", "unbox.any", "ldtoken", "ldftn",
        "ldvirtftn", "localloc", "ldelema", "stelem.ref", "ldelem.ref", "add.ovf", "add.ovf.un", "sub.ovf", "sub.ovf.un", "mul.ovf", "mul.ovf.un", "conv.ovf.i", "conv.ovf.i4", "conv.ovf.u4",
        "endfinally", "leave", "leave.s",
    ];

    static readonly Dictionary<int, OpCode> s_opcodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => (int)(ushort)code.Value);

    [Fact]
    public void Nothing_between_clone_and_execve_allocates_throws_or_leaves_its_file()
    {
        using var psrun = new Assemblies("psrun", "psrun.dll");
        using var linux = new Assemblies("psrun", "Containers.Linux.dll");
        var seen = new List<string>();
        var todo = new Queue<string>(["Psrun.Dance.Child::Walk", "Psrun.Dance.Launch::Clone"]);
        var faults = new List<string>();
        while (todo.TryDequeue(out string? name))
        {
            if (seen.Contains(name))
                continue;
            seen.Add(name);
            if (IsRawEntry(name))
                continue;
            Assemblies home = name.StartsWith("Psrun.", StringComparison.Ordinal) ? psrun : linux;
            if (!IsAllowed(name))
            {
                faults.Add($"{name} is reached");
                continue;
            }
            foreach ((string opcode, string? callee) in home.Body(name))
            {
                if (s_forbidden.Contains(opcode))
                    faults.Add($"{name}: {opcode}");
                if (callee != null)
                    todo.Enqueue(callee);
            }
        }
        Assert.Empty(faults);
        Assert.Contains("Psrun.Dance.Child::RunProgram", seen);
        Assert.Contains("Containers.Linux.Libc::syscall", seen);
    }

    /// <summary>Imports that do not leave managed code for the collector, bound when the program is loaded.</summary>
    static bool IsRawEntry(string name) => name is "Containers.Linux.Libc::syscall" or "Containers.Linux.Libc::__errno_location"
        // Folded to a constant by the compiler, with everything behind it.
        or "System.Runtime.InteropServices.RuntimeInformation::get_ProcessArchitecture";

    static bool IsAllowed(string name) => name.StartsWith("Psrun.Dance.Child::", StringComparison.Ordinal) || name == "Psrun.Dance.Launch::Clone"
        || name.StartsWith("Containers.Linux.Libc::get_SYS_", StringComparison.Ordinal) || name == "Containers.Linux.Libc::get_IsX64"
        || name.StartsWith("Containers.Linux.Libc::get_O_", StringComparison.Ordinal);

    sealed class Assemblies : IDisposable
    {
        readonly PEReader _file;
        readonly MetadataReader _reader;

        public Assemblies(string project, string name)
        {
            // .build/bin/<this project>/<configuration>/ beside .build/bin/psrun/<configuration>/
            string here = AppContext.BaseDirectory.TrimEnd('/');
            string path = Path.Combine(Path.GetDirectoryName(Path.GetDirectoryName(here))!, project, Path.GetFileName(here), name);
            _file = new PEReader(File.OpenRead(path));
            _reader = _file.GetMetadataReader();
        }

        public IEnumerable<(string Opcode, string? Callee)> Body(string name)
        {
            string[] parts = name.Split("::");
            bool found = false;
            foreach (TypeDefinitionHandle typeHandle in _reader.TypeDefinitions)
            {
                TypeDefinition type = _reader.GetTypeDefinition(typeHandle);
                if (TypeName(type) != parts[0])
                    continue;
                foreach (MethodDefinitionHandle handle in type.GetMethods())
                {
                    MethodDefinition method = _reader.GetMethodDefinition(handle);
                    if (_reader.GetString(method.Name) != parts[1] || method.RelativeVirtualAddress == 0)
                        continue;
                    found = true;
                    foreach ((string, string?) one in Read(_file.GetMethodBody(method.RelativeVirtualAddress)))
                        yield return one;
                }
            }
            Assert.True(found, name + " was not found");
        }

        IEnumerable<(string, string?)> Read(MethodBodyBlock body)
        {
            Assert.Empty(body.ExceptionRegions);
            byte[] il = body.GetILBytes()!;
            for (int at = 0; at < il.Length;)
            {
                int value = il[at++];
                if (value == 0xfe)
                    value = 0xfe00 | il[at++];
                OpCode code = s_opcodes[value];
                string? callee = code == OpCodes.Call ? MemberName(BitConverter.ToInt32(il, at)) : null;
                yield return (code.Name!, callee);
                at += code.OperandType switch
                {
                    OperandType.InlineNone => 0,
                    OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                    OperandType.InlineVar => 2,
                    OperandType.InlineI8 or OperandType.InlineR => 8,
                    OperandType.InlineSwitch => 4 + 4 * BitConverter.ToInt32(il, at),
                    _ => 4,
                };
            }
        }

        string MemberName(int token)
        {
            EntityHandle handle = MetadataTokens.EntityHandle(token);
            if (handle.Kind == HandleKind.MethodSpecification)
                return "a generic method";
            if (handle.Kind == HandleKind.MethodDefinition)
            {
                MethodDefinition method = _reader.GetMethodDefinition((MethodDefinitionHandle)handle);
                return TypeName(_reader.GetTypeDefinition(method.GetDeclaringType())) + "::" + _reader.GetString(method.Name);
            }
            MemberReference member = _reader.GetMemberReference((MemberReferenceHandle)handle);
            if (member.Parent.Kind != HandleKind.TypeReference)
                return "a member of a constructed type";
            TypeReference type = _reader.GetTypeReference((TypeReferenceHandle)member.Parent);
            return _reader.GetString(type.Namespace) + "." + _reader.GetString(type.Name) + "::" + _reader.GetString(member.Name);
        }

        string TypeName(TypeDefinition type) => _reader.GetString(type.Namespace) + "." + _reader.GetString(type.Name);

        public void Dispose() => _file.Dispose();
    }
}
