using System.Collections;

namespace Containers.Cmdlets;

/// <summary>Names of images as a user would write them.</summary>
public sealed class ImageCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound)
        => EngineCmdlet.OpenEngine().Images.ListNames(Namespace(bound)).SelectMany(name => new[] { ImageReference.Parse(name).Familiar, name }).Distinct();
}
