// Nothing is drawn, so there are no pictures to encode.
using System;

namespace UnityEngine
{
    public static class ImageConversion
    {
        public static byte[] EncodeToPNG(this Texture2D texture) => throw new NotSupportedException("pictures");
    }
}
