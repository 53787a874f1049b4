using System;

namespace Companion.Core
{
    /// <summary>
    /// Joint steps that move a point of the tool at a velocity and turn the tool, by damped least squares: steps stay small
    /// where the arm is near a singular pose.
    /// </summary>
    public sealed class ResolvedRates
    {
        private const int Six = Ur5e.Joints;

        private readonly double[,] _jacobian = new double[Six, Six];
        private readonly double[,] _factor = new double[Six, Six];
        private readonly double[] _solved = new double[Six];
        private readonly double[] _wanted = new double[Six];

        /// <param name="arm">Where the arm is.</param>
        /// <param name="point">What is to be moved, fixed to the tool.</param>
        /// <param name="move">By how much, m.</param>
        /// <param name="turn">About what the tool is to be turned, rad.</param>
        /// <param name="weights">How much a radian weighs beside a metre, and the damping, m².</param>
        /// <param name="step">Gets six joint increments, rad.</param>
        public void Solve(
            Ur5eKinematics arm, in Vec3 point, in Vec3 move, in Vec3 turn, in RateWeights weights, double[] step)
        {
            FillJacobian(arm, point, weights.Turn);
            move.Write(_wanted, 0);
            (weights.Turn * turn).Write(_wanted, 3);
            Factorise(weights.DampingM2);
            Substitute();
            for (int joint = 0; joint < Six; joint++)
            {
                step[joint] = 0.0;
                for (int row = 0; row < Six; row++)
                {
                    step[joint] += _jacobian[row, joint] * _solved[row];
                }
            }
        }

        private void FillJacobian(Ur5eKinematics arm, in Vec3 point, double turnWeight)
        {
            for (int joint = 0; joint < Six; joint++)
            {
                Vec3 moves = arm.Motion(joint, point), turns = turnWeight * arm.Axis(joint);
                _jacobian[0, joint] = moves.X;
                _jacobian[1, joint] = moves.Y;
                _jacobian[2, joint] = moves.Z;
                _jacobian[3, joint] = turns.X;
                _jacobian[4, joint] = turns.Y;
                _jacobian[5, joint] = turns.Z;
            }
        }

        /// <summary>Cholesky's lower factor of J Jᵀ + damping.</summary>
        private void Factorise(double damping)
        {
            for (int row = 0; row < Six; row++)
            {
                for (int column = 0; column <= row; column++)
                {
                    double sum = row == column ? damping : 0.0;
                    for (int joint = 0; joint < Six; joint++)
                    {
                        sum += _jacobian[row, joint] * _jacobian[column, joint];
                    }
                    for (int before = 0; before < column; before++)
                    {
                        sum -= _factor[row, before] * _factor[column, before];
                    }
                    _factor[row, column] = row == column ? Math.Sqrt(sum) : sum / _factor[column, column];
                }
            }
        }

        private void Substitute()
        {
            for (int row = 0; row < Six; row++)
            {
                double sum = _wanted[row];
                for (int before = 0; before < row; before++)
                {
                    sum -= _factor[row, before] * _solved[before];
                }
                _solved[row] = sum / _factor[row, row];
            }
            for (int row = Six - 1; row >= 0; row--)
            {
                double sum = _solved[row];
                for (int after = row + 1; after < Six; after++)
                {
                    sum -= _factor[after, row] * _solved[after];
                }
                _solved[row] = sum / _factor[row, row];
            }
        }
    }

    /// <summary>What counts how much in <see cref="ResolvedRates"/>.</summary>
    public readonly struct RateWeights
    {
        /// <summary>Of a radian, beside a metre.</summary>
        public readonly double Turn;

        public readonly double DampingM2;

        public RateWeights(double turn, double dampingM2)
        {
            Turn = turn;
            DampingM2 = dampingM2;
        }
    }
}
