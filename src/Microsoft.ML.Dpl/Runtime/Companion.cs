using System.Reflection;

namespace Microsoft.ML.Dpl.Runtime;

/// <summary>What another package of this library adds where the application references it. This assembly cannot reference those: they
/// reference it.</summary>
internal static class Companion
{
    /// <summary>Makes an object of a type in another assembly.</summary>
    /// <param name="assembly">Its simple name.</param>
    /// <param name="type">Its full name; it has a constructor without parameters.</param>
    /// <returns>Null where the application has no such assembly.</returns>
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
