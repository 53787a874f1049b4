using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace Companion.Editor
{
    /// <summary>
    /// Gives a robot's ONNX file (`observation` to `action`) the names that com.unity.ml-agents reads. The network itself is
    /// not touched, so it acts the same to the last bit.
    /// </summary>
    /// <remarks>
    /// Protobuf by hand, for the few messages that must change (onnx.proto, IR version 7); all else is copied as it is.
    /// </remarks>
    public static class UnityPolicy
    {
        private const string RobotInput = "observation";
        private const string RobotOutput = "action";
        private const string UnityInput = "obs_0";

        /// <summary>`ModelApiVersion.MLAgents2_0`.</summary>
        private const float ApiVersion = 3f;
        private const int FloatType = 1;

        // Field numbers of ModelProto, GraphProto, NodeProto, ValueInfoProto, TypeProto and TensorProto.
        private const int ModelGraph = 7;
        private const int GraphNode = 1;
        private const int GraphInitializer = 5;
        private const int GraphInput = 11;
        private const int GraphOutput = 12;
        private const int NodeInput = 1;
        private const int NodeOutput = 2;
        private const int NodeKind = 4;
        private const int ValueName = 1;
        private const int ValueType = 2;
        private const int TypeTensor = 1;
        private const int TensorKind = 1;
        private const int TensorShape = 2;
        private const int ShapeEntry = 1;
        private const int EntrySize = 1;
        private const int ConstantSize = 1;
        private const int ConstantKind = 2;
        private const int ConstantName = 8;
        private const int ConstantBytes = 9;

        /// <summary>The file for Unity.</summary>
        /// <exception cref="FormatException">If it is no robot's file without a memory or a mask; says what it is.</exception>
        public static byte[] FromRobots(byte[] robot)
        {
            var written = new MemoryStream();
            bool hasGraph = false;
            foreach (Field field in Fields(new ArraySegment<byte>(robot)))
            {
                if (field.Number == ModelGraph && field.IsBytes)
                {
                    hasGraph = true;
                    Write(written, ModelGraph, Graph(field.Bytes));
                }
                else
                {
                    Copy(written, field);
                }
            }
            return hasGraph ? written.ToArray() : throw new FormatException("it is no ONNX file");
        }

        private static byte[] Graph(ArraySegment<byte> graph)
        {
            var written = new MemoryStream();
            var inputs = new List<string>();
            var outputs = new List<string>();
            ArraySegment<byte> actionType = default;
            foreach (Field field in Fields(graph))
            {
                switch (field.Number)
                {
                    case GraphNode:
                        Write(written, GraphNode, Renamed(field.Bytes, NodeInput));
                        break;
                    case GraphInput:
                        inputs.Add(NameOf(field.Bytes));
                        Write(written, GraphInput, Renamed(field.Bytes, ValueName));
                        break;
                    case GraphOutput:
                        outputs.Add(NameOf(field.Bytes));
                        actionType = TypeOf(field.Bytes);
                        break;
                    default:
                        Copy(written, field);
                        break;
                }
            }
            Check("inputs", inputs, RobotInput);
            Check("outputs", outputs, RobotOutput);
            AddOutputs(written, actionType);
            return written.ToArray();
        }

        /// <summary>ML-Agents' outputs in its order; its constants are outputs, too.</summary>
        private static void AddOutputs(Stream graph, ArraySegment<byte> actionType)
        {
            AddConstant(graph, "version_number", ApiVersion);
            AddConstant(graph, "memory_size", 0f);
            AddCopy(graph, "continuous_actions", actionType);
            AddConstant(graph, "continuous_action_output_shape", LastSize(actionType));
            AddCopy(graph, "deterministic_continuous_actions", actionType);
        }

        private static void AddConstant(Stream graph, string name, float value)
        {
            byte[] bytes = BitConverter.GetBytes(value);
            if (!BitConverter.IsLittleEndian)
            {
                Array.Reverse(bytes);
            }
            var tensor = new MemoryStream();
            Write(tensor, ConstantSize, 1UL);
            Write(tensor, ConstantKind, (ulong)FloatType);
            Write(tensor, ConstantName, Encoding.UTF8.GetBytes(name));
            Write(tensor, ConstantBytes, bytes);
            Write(graph, GraphInitializer, tensor.ToArray());
            Write(graph, GraphOutput, Value(name, new ArraySegment<byte>(OneFloat())));
        }

        private static void AddCopy(Stream graph, string name, ArraySegment<byte> type)
        {
            var node = new MemoryStream();
            Write(node, NodeInput, Encoding.UTF8.GetBytes(RobotOutput));
            Write(node, NodeOutput, Encoding.UTF8.GetBytes(name));
            Write(node, NodeKind, Encoding.UTF8.GetBytes("Identity"));
            Write(graph, GraphNode, node.ToArray());
            Write(graph, GraphOutput, Value(name, type));
        }

        private static byte[] Value(string name, ArraySegment<byte> type)
        {
            var value = new MemoryStream();
            Write(value, ValueName, Encoding.UTF8.GetBytes(name));
            Write(value, ValueType, type);
            return value.ToArray();
        }

        /// <summary>The type of a tensor of one float.</summary>
        private static byte[] OneFloat()
        {
            var entry = new MemoryStream();
            Write(entry, EntrySize, 1UL);
            var shape = new MemoryStream();
            Write(shape, ShapeEntry, entry.ToArray());
            var tensor = new MemoryStream();
            Write(tensor, TensorKind, (ulong)FloatType);
            Write(tensor, TensorShape, shape.ToArray());
            var type = new MemoryStream();
            Write(type, TypeTensor, tensor.ToArray());
            return type.ToArray();
        }

        /// <summary>A message with the robot's input called by Unity's name wherever one of its fields says it.</summary>
        private static byte[] Renamed(ArraySegment<byte> message, int number)
        {
            var written = new MemoryStream();
            foreach (Field field in Fields(message))
            {
                if (field.Number == number && field.IsBytes && Text(field.Bytes) == RobotInput)
                {
                    Write(written, number, Encoding.UTF8.GetBytes(UnityInput));
                }
                else
                {
                    Copy(written, field);
                }
            }
            return written.ToArray();
        }

        private static void Check(string what, List<string> found, string expected)
        {
            if (found.Count != 1 || found[0] != expected)
            {
                throw new FormatException(
                    $"its {what} are {string.Join(", ", found)}, not {expected} alone; of such a policy, which remembers or"
                    + " takes a mask, `companion export RUN --format unity` writes the file for Unity");
            }
        }

        private static string NameOf(ArraySegment<byte> value) => Text(Find(value, ValueName));

        private static ArraySegment<byte> TypeOf(ArraySegment<byte> value) => Find(value, ValueType);

        private static float LastSize(ArraySegment<byte> type)
        {
            float size = 0f;
            foreach (Field entry in Fields(Find(Find(type, TypeTensor), TensorShape)))
            {
                foreach (Field part in Fields(entry.Bytes))
                {
                    size = part.Number == EntrySize && !part.IsBytes ? part.Value : 0f;
                }
            }
            return size > 0f ? size : throw new FormatException($"it does not say how many entries its {RobotOutput} has");
        }

        private static ArraySegment<byte> Find(ArraySegment<byte> message, int number)
        {
            foreach (Field field in Fields(message))
            {
                if (field.Number == number && field.IsBytes)
                {
                    return field.Bytes;
                }
            }
            throw new FormatException($"its graph lacks a field {number} that ONNX files have");
        }

        private static string Text(ArraySegment<byte> bytes) =>
            Encoding.UTF8.GetString(bytes.Array, bytes.Offset, bytes.Count);

        /// <summary>One field of a protobuf message.</summary>
        private readonly struct Field
        {
            public readonly int Number;
            public readonly bool IsBytes;
            public readonly ulong Value;
            public readonly ArraySegment<byte> Bytes;

            /// <summary>With its tag.</summary>
            public readonly ArraySegment<byte> Whole;

            public Field(int number, bool isBytes, ulong value, ArraySegment<byte> bytes, ArraySegment<byte> whole)
            {
                Number = number;
                IsBytes = isBytes;
                Value = value;
                Bytes = bytes;
                Whole = whole;
            }
        }

        private static IEnumerable<Field> Fields(ArraySegment<byte> message)
        {
            byte[] bytes = message.Array;
            int at = message.Offset, end = message.Offset + message.Count;
            while (at < end)
            {
                int start = at;
                ulong tag = Number(bytes, end, ref at);
                int wire = (int)(tag & 7);
                ulong value = wire == 0 || wire == 2 ? Number(bytes, end, ref at) : 0UL;
                int first = at;
                ulong length = wire == 2 ? value : wire == 1 ? 8UL : wire == 5 ? 4UL : 0UL;
                bool isKnown = wire == 0 || wire == 1 || wire == 2 || wire == 5;
                if (!isKnown || length > (ulong)(end - at))
                {
                    throw new FormatException("it is no ONNX file, or not whole");
                }
                at += (int)length;
                yield return new Field(
                    (int)(tag >> 3), wire == 2, value, new ArraySegment<byte>(bytes, first, at - first),
                    new ArraySegment<byte>(bytes, start, at - start));
            }
        }

        private static ulong Number(byte[] bytes, int end, ref int at)
        {
            ulong value = 0UL;
            for (int shift = 0; shift < 64 && at < end; shift += 7)
            {
                byte part = bytes[at++];
                value |= (ulong)(part & 0x7F) << shift;
                if (part < 0x80)
                {
                    return value;
                }
            }
            throw new FormatException("it is no ONNX file, or not whole");
        }

        private static void Copy(Stream stream, Field field) =>
            stream.Write(field.Whole.Array, field.Whole.Offset, field.Whole.Count);

        private static void Write(Stream stream, int number, byte[] bytes) =>
            Write(stream, number, new ArraySegment<byte>(bytes));

        private static void Write(Stream stream, int number, ArraySegment<byte> bytes)
        {
            WriteNumber(stream, ((ulong)number << 3) | 2UL);
            WriteNumber(stream, (ulong)bytes.Count);
            stream.Write(bytes.Array, bytes.Offset, bytes.Count);
        }

        private static void Write(Stream stream, int number, ulong value)
        {
            WriteNumber(stream, (ulong)number << 3);
            WriteNumber(stream, value);
        }

        private static void WriteNumber(Stream stream, ulong value)
        {
            while (value >= 0x80UL)
            {
                stream.WriteByte((byte)(value | 0x80UL));
                value >>= 7;
            }
            stream.WriteByte((byte)value);
        }
    }
}
