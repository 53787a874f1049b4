using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Companion.Core
{
    /// <summary>
    /// A value of a JSON text (RFC 8259), read only. Core may not see UnityEngine, so JsonUtility is out of its reach.
    /// </summary>
    public sealed class JsonValue
    {
        private static readonly IReadOnlyList<string> NoKeys = Array.Empty<string>();

        private readonly object _value;
        private readonly string _place;

        private JsonValue(object value, string place)
        {
            _value = value;
            _place = place;
        }

        /// <summary>The names of an object's members in the text's order; none for anything else.</summary>
        public IReadOnlyList<string> Keys => _value is Members members ? members.Keys : NoKeys;

        /// <summary>Entries of an array, members of an object; 0 for anything else.</summary>
        public int Count => _value is List<JsonValue> list ? list.Count : Keys.Count;

        public bool IsNull => _value is null;

        /// <summary>A number, as a double.</summary>
        public double Number => As<double>("a number");

        /// <summary>A whole number.</summary>
        public int Integer
        {
            get
            {
                double number = Number;
                int whole = (int)number;
                return whole == number ? whole : throw Wrong("a whole number");
            }
        }

        public string Text => As<string>("text");

        public bool Truth => As<bool>("true or false");

        /// <summary>An array of numbers, as a new array.</summary>
        public double[] Numbers
        {
            get
            {
                var numbers = new double[As<List<JsonValue>>("an array of numbers").Count];
                for (int index = 0; index < numbers.Length; index++)
                {
                    numbers[index] = this[index].Number;
                }
                return numbers;
            }
        }

        /// <summary>A member of an object.</summary>
        /// <exception cref="FormatException">If there is none of that name; lists those there are.</exception>
        public JsonValue this[string key]
        {
            get
            {
                Members members = As<Members>("an object");
                return members.ByKey.TryGetValue(key, out JsonValue found)
                    ? found
                    : throw new FormatException($"no '{key}' in {_place}; there are {string.Join(", ", members.Keys)}");
            }
        }

        /// <summary>An entry of an array.</summary>
        public JsonValue this[int index] => As<List<JsonValue>>("an array")[index];

        /// <summary>Whether an object has a member of that name.</summary>
        public bool Has(string key) => _value is Members members && members.ByKey.ContainsKey(key);

        /// <summary>The value that a whole text stands for.</summary>
        /// <exception cref="FormatException">If it is not JSON; says where.</exception>
        public static JsonValue Parse(string text)
        {
            var reader = new Reader(text ?? throw new ArgumentNullException(nameof(text)));
            JsonValue value = reader.ReadValue("the file");
            reader.ExpectEnd();
            return value;
        }

        private T As<T>(string kind) => _value is T value ? value : throw Wrong(kind);

        private FormatException Wrong(string kind) => new FormatException($"{_place} is not {kind}");

        private sealed class Members
        {
            public readonly List<string> Keys = new List<string>();
            public readonly Dictionary<string, JsonValue> ByKey = new Dictionary<string, JsonValue>();
        }

        private sealed class Reader
        {
            private const int DeepestNesting = 64;

            private readonly string _text;
            private int _at;
            private int _depth;

            public Reader(string text) => _text = text;

            public JsonValue ReadValue(string place)
            {
                if (++_depth > DeepestNesting)
                {
                    throw Fault("deeper nesting than is read");
                }
                var value = new JsonValue(ReadAny(place), place);
                _depth--;
                return value;
            }

            public void ExpectEnd()
            {
                SkipSpace();
                if (_at < _text.Length)
                {
                    throw Fault("something after the end");
                }
            }

            private object ReadAny(string place)
            {
                switch (Peek())
                {
                    case '{': return ReadObject(place);
                    case '[': return ReadArray(place);
                    case '"': return ReadText();
                    case 't': return ReadWord("true", true);
                    case 'f': return ReadWord("false", false);
                    case 'n': return ReadWord("null", null);
                    default: return ReadNumber();
                }
            }

            private Members ReadObject(string place)
            {
                var members = new Members();
                Take('{');
                while (Peek() != '}')
                {
                    string key = ReadText();
                    Take(':');
                    members.Keys.Add(key);
                    members.ByKey[key] = ReadValue($"{place}, {key}");
                    if (Peek() != '}')
                    {
                        Take(',');
                    }
                }
                Take('}');
                return members;
            }

            private List<JsonValue> ReadArray(string place)
            {
                var entries = new List<JsonValue>();
                Take('[');
                while (Peek() != ']')
                {
                    entries.Add(ReadValue($"{place}[{entries.Count}]"));
                    if (Peek() != ']')
                    {
                        Take(',');
                    }
                }
                Take(']');
                return entries;
            }

            private object ReadWord(string word, object meaning)
            {
                if (string.CompareOrdinal(_text, _at, word, 0, word.Length) != 0)
                {
                    throw Fault("no JSON value");
                }
                _at += word.Length;
                return meaning;
            }

            private object ReadNumber()
            {
                int start = _at;
                while (_at < _text.Length && "+-.eE0123456789".IndexOf(_text[_at]) >= 0)
                {
                    _at++;
                }
                string digits = _text.Substring(start, _at - start);
                return double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                    ? number
                    : throw Fault("no JSON value");
            }

            private string ReadText()
            {
                Take('"');
                var read = new StringBuilder();
                for (; At() != '"'; _at++)
                {
                    read.Append(At() == '\\' ? ReadEscape() : At());
                }
                _at++;
                return read.ToString();
            }

            private char ReadEscape()
            {
                _at++;
                switch (At())
                {
                    case 'b': return '\b';
                    case 'f': return '\f';
                    case 'n': return '\n';
                    case 'r': return '\r';
                    case 't': return '\t';
                    case 'u':
                        if (_at + 4 >= _text.Length)
                        {
                            throw Fault("an unfinished escape");
                        }
                        _at += 4;
                        return (char)Convert.ToInt32(_text.Substring(_at - 3, 4), 16);
                    default: return At();
                }
            }

            private char At() => _at < _text.Length ? _text[_at] : throw Fault("an early end");

            private char Peek()
            {
                SkipSpace();
                return At();
            }

            private void Take(char expected)
            {
                if (Peek() != expected)
                {
                    throw Fault($"'{At()}' where '{expected}' should be");
                }
                _at++;
            }

            private void SkipSpace()
            {
                while (_at < _text.Length && char.IsWhiteSpace(_text[_at]))
                {
                    _at++;
                }
            }

            private FormatException Fault(string what)
            {
                int line = 1;
                for (int index = 0; index < _at && index < _text.Length; index++)
                {
                    line += _text[index] == '\n' ? 1 : 0;
                }
                return new FormatException($"line {line} of the JSON text: {what}");
            }
        }
    }
}
