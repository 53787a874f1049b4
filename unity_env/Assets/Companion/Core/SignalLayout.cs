using System;
using System.Collections.Generic;

namespace Companion.Core
{
    /// <summary>A named measurement of one decision step.</summary>
    public sealed class SignalData
    {
        public readonly string Name;

        /// <summary>Entries.</summary>
        public readonly int Size;

        /// <summary>SI unit of every entry, "1" for a number without one.</summary>
        public readonly string Unit;

        public readonly string Description;

        internal SignalData(JsonValue json)
        {
            Name = json["name"].Text;
            Size = json["size"].Integer;
            Unit = json["unit"].Text;
            Description = json["description"].Text;
        }
    }

    /// <summary>Where a signal stands in a vector.</summary>
    public readonly struct Slice
    {
        public readonly int Start;
        public readonly int Size;

        public Slice(int start, int size)
        {
            Start = start;
            Size = size;
        }
    }

    /// <summary>An ordered list of signals and the vector they make.</summary>
    public sealed class SignalLayout
    {
        private readonly SignalData[] _signals;
        private readonly Dictionary<string, Slice> _slices = new Dictionary<string, Slice>();

        public SignalLayout(IReadOnlyList<SignalData> signals)
        {
            _signals = new SignalData[signals.Count];
            for (int index = 0; index < signals.Count; index++)
            {
                _signals[index] = signals[index];
                if (_slices.ContainsKey(signals[index].Name))
                {
                    throw new ArgumentException($"signal '{signals[index].Name}' stands twice in one layout");
                }
                _slices[signals[index].Name] = new Slice(Size, signals[index].Size);
                Size += signals[index].Size;
            }
        }

        /// <summary>Entries of the vector.</summary>
        public int Size { get; }

        /// <summary>How many signals there are.</summary>
        public int Count => _signals.Length;

        public SignalData this[int index] => _signals[index];

        public bool Has(string name) => _slices.ContainsKey(name);

        /// <summary>Where a signal stands.</summary>
        /// <exception cref="ArgumentException">If it has no place here; lists those that have.</exception>
        public Slice Where(string name)
        {
            return _slices.TryGetValue(name, out Slice slice)
                ? slice
                : throw new ArgumentException($"no signal '{name}' in this layout; it holds {string.Join(", ", _slices.Keys)}");
        }
    }
}
