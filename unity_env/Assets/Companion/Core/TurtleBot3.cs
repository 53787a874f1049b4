namespace Companion.Core
{
    /// <summary>Facts of the TurtleBot3 Burger; their sources stand in python/companion/robots/turtlebot3.py.</summary>
    public sealed class TurtleBot3
    {
        public readonly double MaxForwardSpeedMps;
        public readonly double MaxTurningSpeedRadps;
        public readonly double WheelRadiusM;
        public readonly double WheelSeparationM;

        /// <summary>The circle about the wheel axis that holds the whole robot.</summary>
        public readonly double RadiusM;

        /// <summary>Length, width, height.</summary>
        public readonly double[] BodySizeM;

        public readonly double SpecMassKg;

        /// <summary>Of the laser scanner in the robot's frame: x ahead, y left, z up.</summary>
        public readonly double[] LidarPositionBaseM;

        public readonly double LidarPeriodS;
        public readonly double LidarMinM;
        public readonly double LidarMaxM;

        /// <summary>Per wheel.</summary>
        public readonly double MotorStallForceN;

        /// <summary>How hard a wheel pushes for each m/s that it is slower than asked, N s/m.</summary>
        public readonly double WheelServoNsPerM;

        /// <summary>How hard the axle resists sliding sideways, N s/m.</summary>
        public readonly double SideServoNsPerM;

        internal TurtleBot3(JsonValue json)
        {
            MaxForwardSpeedMps = json["max_forward_speed_mps"].Number;
            MaxTurningSpeedRadps = json["max_turning_speed_radps"].Number;
            WheelRadiusM = json["wheel_radius_m"].Number;
            WheelSeparationM = json["wheel_separation_m"].Number;
            RadiusM = json["radius_m"].Number;
            BodySizeM = json["body_size_m"].Numbers;
            SpecMassKg = json["spec_mass_kg"].Number;
            LidarPositionBaseM = json["lidar_position_base_m"].Numbers;
            LidarPeriodS = json["lidar_period_s"].Number;
            LidarMinM = json["lidar_min_m"].Number;
            LidarMaxM = json["lidar_max_m"].Number;
            MotorStallForceN = json["motor_stall_force_n"].Number;
            WheelServoNsPerM = json["servo_gains"]["left_wheel"].Number;
            SideServoNsPerM = json["servo_gains"]["side"].Number;
        }
    }
}
