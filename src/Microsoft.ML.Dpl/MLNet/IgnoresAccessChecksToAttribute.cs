namespace System.Runtime.CompilerServices;

/// <summary>Read by the CLR, which then lets this assembly use internal members of the named one; the base class library does not declare
/// it.</summary>
[AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
{
    public string AssemblyName { get; } = assemblyName;
}
