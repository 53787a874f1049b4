// The executable that takes a Unity player's place: real ML-Agents and our scripts on the stand-in engine.
using System;
using System.IO;
using System.Reflection;
using System.Runtime.Loader;
using UnityEngine;

public static class Host
{
    public static int Main()
    {
        // The real Grpc.Core has a strong name; a resolver may answer with one that has none.
        AssemblyLoadContext.Default.Resolving += (context, wanted) =>
        {
            string path = Path.Combine(AppContext.BaseDirectory, wanted.Name + ".dll");
            return File.Exists(path) ? context.LoadFromAssemblyPath(path) : null;
        };
        return Play();
    }

    static int Play()
    {
        try
        {
            Bodies.Install();
            Engine.RunInitializers(Assembly.Load("Unity.ML-Agents"), Assembly.Load("Companion.Runtime"));
            long steps = 0;
            while (!Application.IsQuitRequested)
            {
                Engine.FixedStep();
                steps++;
            }
            Engine.Quit();
            Console.WriteLine($"[host] clean end after {steps} fixed steps");
            return Environment.ExitCode;
        }
        catch (Exception unexpected)
        {
            Console.WriteLine($"[host] {unexpected}");
            return 1;
        }
    }
}
