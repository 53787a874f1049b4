// What would be drawn: it can be set up and asked, and that is all.
namespace UnityEngine
{
    public enum CameraClearFlags
    {
        Skybox = 1,
        SolidColor = 2,
        Depth = 3,
        Nothing = 4,
    }

    public enum LightShadows
    {
        None,
        Hard,
        Soft,
    }

    public enum LightType
    {
        Spot,
        Directional,
        Point,
    }

    public enum RenderTextureFormat
    {
        Default = 7,
    }

    public enum RenderTextureReadWrite
    {
        Default,
    }

    public enum TextureFormat
    {
        RGB24 = 3,
        RGBA32 = 4,
    }

    public sealed class Camera : Behaviour
    {
        public Color backgroundColor { get; set; }
        public float depth { get; set; }
        public CameraClearFlags clearFlags { get; set; }
        public float farClipPlane { get; set; }
        public float fieldOfView { get; set; }
        public float nearClipPlane { get; set; }
        public Rect rect { get; set; }
        public RenderTexture targetTexture { get; set; }

        public void Render()
        {
        }
    }

    public sealed class Light : Behaviour
    {
        public Color color { get; set; }
        public float intensity { get; set; }
        public LightShadows shadows { get; set; }
        public LightType type { get; set; }
    }

    public class Material : Object
    {
        public Material(Material source)
        {
        }

        internal Material()
        {
        }

        public Color color { get; set; }
    }

    public class Renderer : Component
    {
        public bool enabled { get; set; } = true;
        public Material material { get; set; } = new();
        public Material sharedMaterial { get; set; } = new();
    }

    public class MeshRenderer : Renderer
    {
    }

    public class Texture : Object
    {
        public virtual int height { get; set; }
        public virtual int width { get; set; }
    }

    public sealed class Texture2D : Texture
    {
        readonly Color32[] pixels;

        public Texture2D(int width, int height, TextureFormat format, bool mipChain)
        {
            this.width = width;
            this.height = height;
            this.format = format;
            pixels = new Color32[width * height];
        }

        public TextureFormat format { get; }

        public void Apply()
        {
        }

        public Color32[] GetPixels32() => pixels;

        public void ReadPixels(Rect source, int x, int y)
        {
        }
    }

    public class RenderTexture : Texture
    {
        public static RenderTexture active { get; set; }

        public static RenderTexture GetTemporary(
            int width, int height, int depth, RenderTextureFormat format, RenderTextureReadWrite readWrite) =>
            new() { width = width, height = height };

        public static void ReleaseTemporary(RenderTexture texture)
        {
        }
    }
}

namespace UnityEngine.Rendering
{
    public enum AmbientMode
    {
        Skybox = 0,
        Trilight = 1,
        Flat = 3,
    }

    public enum GraphicsDeviceType
    {
        Null = 4,
    }
}

namespace UnityEngine
{
    public static class RenderSettings
    {
        public static Color ambientLight { get; set; }
        public static Rendering.AmbientMode ambientMode { get; set; }
    }
}
