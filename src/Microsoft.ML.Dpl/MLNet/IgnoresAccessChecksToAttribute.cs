namespace System.Runtime.CompilerServices;

/// <summary>Makes the CLR let this assembly use internal members of the named one. The CLR recognises the attribute by its name; the base
/// class library does not declare it.</summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
{
    public string AssemblyName { get; } = assemblyName;
}
