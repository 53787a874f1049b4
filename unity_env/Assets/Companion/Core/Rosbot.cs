namespace Companion.Core
{
    /// <summary>Facts of the ROSbot; their sources stand in python/companion/robots/rosbot.py.</summary>
    public sealed class Rosbot
    {
        public readonly double MaxAccelerationMps2;
        public readonly double MaxTurningAccelerationRadps2;
        public readonly double WheelRadiusM;
        public readonly double WheelSeparationM;

        /// <summary>Between the front and the rear axle.</summary>
        public readonly double WheelBaseM;

        /// <summary>The circle about its middle that holds the whole robot.</summary>
        public readonly double RadiusM;

        /// <summary>Of the laser scanner in the robot's frame: x ahead, y left, z up.</summary>
        public readonly double[] LidarPositionBaseM;

        public readonly double LidarPeriodS;
        public readonly double LidarMinM;
        public readonly double LidarMaxM;

        /// <summary>Per side.</summary>
        public readonly double MotorStallForceN;

        /// <summary>How hard a side's wheels push for each m/s that they are slower than asked, N s/m.</summary>
        public readonly double WheelServoNsPerM;

        /// <summary>How hard they resist sliding sideways, N s/m.</summary>
        public readonly double SideServoNsPerM;

        internal Rosbot(JsonValue json)
        {
            MaxAccelerationMps2 = json["max_acceleration_mps2"].Number;
            MaxTurningAccelerationRadps2 = json["max_turning_acceleration_radps2"].Number;
            WheelRadiusM = json["wheel_radius_m"].Number;
            WheelSeparationM = json["wheel_separation_m"].Number;
            WheelBaseM = json["wheel_base_m"].Number;
            RadiusM = json["radius_m"].Number;
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
