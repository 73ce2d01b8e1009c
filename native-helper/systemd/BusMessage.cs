using System.Runtime.InteropServices;
using Containers.Linux.Cgroups;

namespace Psrun.Systemd;

/// <summary>A message that is being written, or one that came (sd_bus_message_append_basic(3), sd_bus_message_read_basic(3)). Types are D-Bus' letters.</summary>
sealed unsafe class BusMessage(nint handle) : IDisposable
{
    public nint Handle { get; } = handle;

    public void Append(string text, char type = 's')
    {
        fixed (byte* p = SdBus.Text(text))
            AppendBasic(type, p);
    }

    public void Append(bool value)
    {
        int one = value ? 1 : 0;
        AppendBasic('b', &one);
    }

    /// <summary>Properties of a unit, <c>a(sv)</c>.</summary>
    public void Append(IReadOnlyList<SystemdProperty> properties)
    {
        Open('a', "(sv)");
        foreach (SystemdProperty property in properties)
        {
            Open('r', "sv");
            Append(property.Name);
            Open('v', property.Type);
            AppendValue(property);
            Close();
            Close();
        }
        Close();
    }

    void AppendValue(SystemdProperty property)
    {
        switch (property.Value)
        {
            case string text:
                Append(text);
                break;
            case bool value:
                Append(value);
                break;
            case ulong number:
                AppendBasic('t', &number);
                break;
            case byte[] bytes:
                fixed (byte* p = bytes)
                    AppendArray('y', p, bytes.Length);
                break;
            case uint[] numbers:
                fixed (uint* p = numbers)
                    AppendArray('u', p, numbers.Length * sizeof(uint));
                break;
            case string[] texts:
                Open('a', "s");
                foreach (string text in texts)
                    Append(text);
                Close();
                break;
            case (string, string)[] pairs:
                Open('a', "(ss)");
                foreach ((string first, string second) in pairs)
                {
                    Open('r', "ss");
                    Append(first);
                    Append(second);
                    Close();
                }
                Close();
                break;
            case (string, ulong)[] pairs:
                Open('a', "(st)");
                foreach ((string first, ulong second) in pairs)
                {
                    Open('r', "st");
                    Append(first);
                    AppendBasic('t', &second);
                    Close();
                }
                Close();
                break;
            default:
                throw new PsrunException($"systemd: {property.Name}: no way to send it");
        }
    }

    /// <summary>The pids as one array, <c>au</c>.</summary>
    public void Append(uint[] numbers)
    {
        fixed (uint* p = numbers)
            AppendArray('u', p, numbers.Length * sizeof(uint));
    }

    /// <summary>The empty <c>a(sa(sv))</c>: no units beside the one.</summary>
    public void AppendNoUnits()
    {
        Open('a', "(sa(sv))");
        Close();
    }

    public bool IsSignal(string of, string member)
    {
        if (Handle == 0)
            return false;
        fixed (byte* i = SdBus.Text(of), m = SdBus.Text(member))
            return ((delegate* unmanaged<nint, byte*, byte*, int>)SdBus.Function("sd_bus_message_is_signal"))(Handle, i, m) > 0;
    }

    public string ReadText(char type)
    {
        byte* text;
        SdBus.Check(((delegate* unmanaged<nint, byte, void*, int>)SdBus.Function("sd_bus_message_read_basic"))(Handle, (byte)type, &text), "answer");
        return Marshal.PtrToStringUTF8((nint)text) ?? "";
    }

    public uint ReadNumber(char type)
    {
        uint number;
        SdBus.Check(((delegate* unmanaged<nint, byte, void*, int>)SdBus.Function("sd_bus_message_read_basic"))(Handle, (byte)type, &number), "answer");
        return number;
    }

    void AppendBasic(char type, void* value) =>
        SdBus.Check(((delegate* unmanaged<nint, byte, void*, int>)SdBus.Function("sd_bus_message_append_basic"))(Handle, (byte)type, value), "message");

    void AppendArray(char type, void* values, int size) =>
        SdBus.Check(((delegate* unmanaged<nint, byte, void*, nuint, int>)SdBus.Function("sd_bus_message_append_array"))(Handle, (byte)type, values, (nuint)size), "message");

    void Open(char type, string contents)
    {
        fixed (byte* c = SdBus.Text(contents))
            SdBus.Check(((delegate* unmanaged<nint, byte, byte*, int>)SdBus.Function("sd_bus_message_open_container"))(Handle, (byte)type, c), "message");
    }

    void Close() => SdBus.Check(((delegate* unmanaged<nint, int>)SdBus.Function("sd_bus_message_close_container"))(Handle), "message");

    public void Dispose()
    {
        if (Handle != 0)
            ((delegate* unmanaged<nint, nint>)SdBus.Function("sd_bus_message_unref"))(Handle);
    }
}
