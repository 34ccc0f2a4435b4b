using System.Reflection;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>Finds types of the library's other packages by name, if the application references them. This assembly cannot reference those
/// packages, since they reference it.</summary>
internal static class Companion
{
    /// <summary>Creates an instance of a type in another assembly.</summary>
    /// <param name="assembly">The assembly's simple name.</param>
    /// <param name="type">The type's full name; it must have a parameterless constructor.</param>
    /// <returns>The instance; null if the application has no such assembly.</returns>
    public static T? Find<T>(string assembly, string type)
        where T : class
    {
        Assembly found;
        try
        {
            found = Assembly.Load(assembly);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        return (T)Activator.CreateInstance(found.GetType(type, throwOnError: true)!, nonPublic: true)!;
    }
}
