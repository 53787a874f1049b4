namespace Companion.Core
{
    /// <summary>Upright people in a room, for drawing and for what they bump into. World frame, m.</summary>
    public abstract class Figures
    {
        /// <param name="count">How many there may be.</param>
        /// <param name="radiusM">A person's footprint.</param>
        protected Figures(int count, double radiusM)
        {
            Count = count;
            RadiusM = radiusM;
            Present = new bool[count];
            X = new double[count];
            Y = new double[count];
            BeforeX = new double[count];
            BeforeY = new double[count];
            VelocityX = new double[count];
            VelocityY = new double[count];
        }

        /// <summary>How many there may be.</summary>
        public int Count { get; }

        /// <summary>A person's footprint.</summary>
        public double RadiusM { get; }

        /// <summary>Whether one is in the room; those who are not stand far outside.</summary>
        public bool[] Present { get; }

        /// <summary>Where they are at the end of the decision.</summary>
        public double[] X { get; }

        public double[] Y { get; }

        /// <summary>Where they were a decision ago; within the decision they walk evenly from there.</summary>
        public double[] BeforeX { get; }

        public double[] BeforeY { get; }

        /// <summary>m/s.</summary>
        public double[] VelocityX { get; }

        public double[] VelocityY { get; }

        /// <summary>Which way one faces, rad.</summary>
        public abstract double Heading(int person);
    }
}
