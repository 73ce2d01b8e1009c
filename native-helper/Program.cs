namespace Psrun;

static class Program
{
    static int Main(string[] args)
    {
        if (args.Length > 0 && args[0] == "shim") return Shim.ShimCommand.Run(args.AsSpan(1));
        return args.Length == 0 ? 1 : 0;
    }
}
