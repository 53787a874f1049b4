using System;

namespace Companion.Core
{
    /// <summary>Where the paddle's middle is in the table's plane, and its yaw: 0 where it faces the player; m, rad.</summary>
    public readonly struct PaddlePose
    {
        public readonly double X;
        public readonly double Y;
        public readonly double Yaw;

        public PaddlePose(double x, double y, double yaw)
        {
            X = x;
            Y = y;
            Yaw = yaw;
        }

        /// <summary>Of the arm that holds it by its tool.</summary>
        public static PaddlePose Of(Ur5eKinematics arm, double toolLengthM)
        {
            Vec3 middle = arm.Point(toolLengthM), face = -1.0 * arm.ToolY;
            return new PaddlePose(middle.X, middle.Y, Math.Atan2(face.Y, face.X));
        }

        internal void Write(double[] into, int at)
        {
            into[at] = X;
            into[at + 1] = Y;
            into[at + 2] = Yaw;
        }
    }

    /// <summary>Steps of Newton's that bring the paddle to a pose, at its height and upright.</summary>
    internal sealed class PaddleSolver
    {
        private const int Six = Ur5e.Joints;

        private readonly Ur5eKinematics _arm;
        private readonly double _toolLengthM;
        private readonly double _heightM;
        private readonly double[,] _system = new double[Six, Six + 1];

        public PaddleSolver(Ur5e robot, double heightM)
        {
            _arm = new Ur5eKinematics(robot);
            _toolLengthM = robot.ToolLengthM;
            _heightM = heightM;
        }

        /// <summary>One step.</summary>
        /// <param name="joints">Joint positions, rad.</param>
        /// <param name="paddle">Where the paddle shall be.</param>
        /// <param name="most">No joint turns farther, rad; all are slowed down alike.</param>
        /// <param name="change">Gets the six changes.</param>
        public void Solve(double[] joints, in PaddlePose paddle, double most, double[] change)
        {
            _arm.Update(joints);
            Vec3 middle = _arm.Point(_toolLengthM);
            double cos = Math.Cos(paddle.Yaw), sin = Math.Sin(paddle.Yaw);
            Vec3 turn = _arm.ToolX.Cross(new Vec3(sin, -cos, 0.0)) + _arm.ToolY.Cross(new Vec3(-cos, -sin, 0.0))
                + _arm.ToolAxis.Cross(new Vec3(0.0, 0.0, -1.0));
            Fill(middle, new Vec3(paddle.X, paddle.Y, _heightM) - middle, 0.5 * turn);
            Eliminate();
            double largest = 1e-9;
            for (int row = Six - 1; row >= 0; row--)
            {
                double sum = _system[row, Six];
                for (int column = row + 1; column < Six; column++)
                {
                    sum -= _system[row, column] * change[column];
                }
                change[row] = sum / _system[row, row];
                largest = Math.Max(largest, Math.Abs(change[row]));
            }
            double slower = Math.Min(1.0, most / largest);
            for (int joint = 0; joint < Six; joint++)
            {
                change[joint] *= slower;
            }
        }

        private void Fill(in Vec3 middle, in Vec3 move, in Vec3 turn)
        {
            for (int joint = 0; joint < Six; joint++)
            {
                Vec3 moves = _arm.Motion(joint, middle), turns = _arm.Axis(joint);
                FillColumn(joint, moves, turns);
                _system[joint, joint] += 1e-6;
            }
            FillColumn(Six, move, turn);
        }

        private void FillColumn(int column, in Vec3 upper, in Vec3 lower)
        {
            _system[0, column] = upper.X;
            _system[1, column] = upper.Y;
            _system[2, column] = upper.Z;
            _system[3, column] = lower.X;
            _system[4, column] = lower.Y;
            _system[5, column] = lower.Z;
        }

        /// <summary>Gauss's elimination with the largest pivot of each column.</summary>
        private void Eliminate()
        {
            for (int column = 0; column < Six; column++)
            {
                int pivot = column;
                for (int row = column + 1; row < Six; row++)
                {
                    pivot = Math.Abs(_system[row, column]) > Math.Abs(_system[pivot, column]) ? row : pivot;
                }
                for (int entry = column; entry <= Six; entry++)
                {
                    (_system[column, entry], _system[pivot, entry]) = (_system[pivot, entry], _system[column, entry]);
                }
                for (int row = column + 1; row < Six; row++)
                {
                    double factor = _system[row, column] / _system[column, column];
                    for (int entry = column; entry <= Six; entry++)
                    {
                        _system[row, entry] -= factor * _system[column, entry];
                    }
                }
            }
        }
    }
}
