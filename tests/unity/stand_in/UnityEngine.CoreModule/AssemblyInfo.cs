using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("UnityEngine.PhysicsModule")]
