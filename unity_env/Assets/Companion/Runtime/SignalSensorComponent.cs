using Unity.MLAgents.Sensors;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Gives an agent its <see cref="SignalSensor"/>.</summary>
    [DisallowMultipleComponent]
    public sealed class SignalSensorComponent : SensorComponent
    {
        /// <summary>The sensor, once <see cref="Build"/> was called.</summary>
        public SignalSensor Sensor { get; private set; }

        /// <summary>Makes the sensor for an observation of so many entries; before the agent wakes.</summary>
        public void Build(int size) => Sensor = new SignalSensor(size);

        public override ISensor[] CreateSensors() => new ISensor[] { Sensor };
    }
}
