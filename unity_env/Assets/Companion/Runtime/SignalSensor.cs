using Unity.MLAgents.Sensors;

namespace Companion.Runtime
{
    /// <summary>The observation of a task, laid out by its rules, as one vector sensor.</summary>
    public sealed class SignalSensor : ISensor
    {
        /// <summary>The name under which the embedded world shows it, too.</summary>
        public const string SensorName = "observation";

        private readonly ObservationSpec _spec;

        public SignalSensor(int size)
        {
            Observation = new float[size];
            _spec = ObservationSpec.Vector(size);
        }

        /// <summary>What is sent at the next decision; its owner writes it.</summary>
        public float[] Observation { get; }

        public string GetName() => SensorName;

        public ObservationSpec GetObservationSpec() => _spec;

        public CompressionSpec GetCompressionSpec() => CompressionSpec.Default();

        public byte[] GetCompressedObservation() => null;

        public int Write(ObservationWriter writer)
        {
            for (int entry = 0; entry < Observation.Length; entry++)
            {
                writer[entry] = Observation[entry];
            }
            return Observation.Length;
        }

        public void Update()
        {
        }

        public void Reset()
        {
        }
    }
}
