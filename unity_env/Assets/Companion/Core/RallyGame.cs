using System;

namespace Companion.Core
{
    /// <summary>Whose the ball is.</summary>
    public enum RallyPhase
    {
        /// <summary>In the player's hand.</summary>
        Held,

        /// <summary>It rolls to the robot.</summary>
        Coming,

        /// <summary>The paddle has struck it.</summary>
        Going,
    }

    /// <summary>
    /// The player at the other end of the table, scripted, and the game: takes a ball that comes within reach, and rolls it
    /// again to make it hard. The same draws give the same game as python/companion/tasks/_rally_player.py. base_link, m, s.
    /// </summary>
    public sealed class RallyGame
    {
        private const int Decisions = 4;
        private const int Chances = 7;

        private readonly double[] _low;
        private readonly double[] _high;
        private readonly double[] _aimSpreadM, _awayShare, _railShare, _fromM, _speedMps, _waitSpreadS;
        private readonly double _speedSpread, _meanWaitS, _railYM, _goalXM, _releaseXM, _carryMps;
        private readonly double _tooFastMps, _missXM, _deadMps, _deadS;
        private readonly double[] _chance = new double[Chances];
        private readonly double[] _plan = new double[Decisions];
        private double _waitS;
        private double _stillS;

        /// <param name="shared">The constants of Python's <c>_rally_player</c>.</param>
        public RallyGame(JsonValue shared)
        {
            _low = shared["LOW"].Numbers;
            _high = shared["HIGH"].Numbers;
            JsonValue temper = shared["TEMPER"];
            _aimSpreadM = temper["aim_spread_m"].Numbers;
            _awayShare = temper["away_share"].Numbers;
            _railShare = temper["rail_share"].Numbers;
            _fromM = temper["from_m"].Numbers;
            _speedMps = temper["speed_mps"].Numbers;
            _waitSpreadS = temper["wait_spread_s"].Numbers;
            _speedSpread = shared["SPEED_SPREAD"].Number;
            _meanWaitS = shared["WAIT_S"].Number;
            _railYM = shared["RAIL_Y_M"].Number;
            _goalXM = shared["GOAL_X_M"].Number;
            _releaseXM = shared["RELEASE_X_M"].Number;
            _carryMps = shared["CARRY_MPS"].Number;
            _tooFastMps = shared["TOO_FAST_MPS"].Number;
            _missXM = shared["MISS_X_M"].Number;
            _deadMps = shared["DEAD_MPS"].Number;
            _deadS = shared["DEAD_S"].Number;
            CatchXM = shared["CATCH_X_M"].Number;
            CatchHalfM = shared["CATCH_HALF_M"].Number;
        }

        /// <summary>A ball that has come so far is at the player's hands.</summary>
        public double CatchXM { get; }

        /// <summary>And within reach if it is no further aside, to either side.</summary>
        public double CatchHalfM { get; }

        public RallyPhase Phase { get; private set; }

        /// <summary>In a row, so far.</summary>
        public int Returns { get; private set; }

        /// <summary>Whether a return came in at this decision.</summary>
        public bool IsReturned { get; private set; }

        /// <summary>Whether a ball was lost at this decision, or came back out of reach or too fast.</summary>
        public bool IsMissed { get; private set; }

        /// <summary>Whether the paddle met a coming ball at this decision.</summary>
        public bool IsStruck { get; private set; }

        /// <summary>Where a held ball is rolled from.</summary>
        public double ReleaseX => _releaseXM;

        public double ReleaseY => _plan[0];

        /// <summary>An episode starts, with a first ball in the player's hand.</summary>
        public void Begin(double paddleY, double difficulty, IDraws draws)
        {
            Returns = 0;
            IsReturned = IsMissed = IsStruck = false;
            Take(paddleY, difficulty, draws);
        }

        /// <summary>Go on with the game by where the ball is; whether it is over and the player takes the ball.</summary>
        public bool Judge(in RallyBall ball, double periodS)
        {
            bool isFree = Phase != RallyPhase.Held;
            double speed = ball.Speed;
            IsStruck = Phase == RallyPhase.Coming && ball.MeetsPaddle;
            Phase = IsStruck ? RallyPhase.Going : Phase;
            _stillS = isFree && speed < _deadMps ? _stillS + periodS : 0.0;
            bool isThere = isFree && ball.X > CatchXM;
            bool isGood = isThere && Phase == RallyPhase.Going && Math.Abs(ball.Y) < CatchHalfM && speed < _tooFastMps;
            bool isLost = isFree && (ball.X < _missXM || _stillS > _deadS);
            IsReturned = isGood;
            IsMissed = isLost || (isThere && !isGood);
            Returns = IsMissed ? 0 : Returns + (IsReturned ? 1 : 0);
            return IsReturned || IsMissed;
        }

        /// <summary>Take the ball into the player's hand, and decide how to roll it.</summary>
        public void Take(double paddleY, double difficulty, IDraws draws)
        {
            Decide(paddleY, difficulty, draws);
            Phase = RallyPhase.Held;
            _waitS = _plan[3];
            _stillS = 0.0;
        }

        /// <summary>Carry a held ball on to where it is rolled from, and roll it when its time has come; whether it is rolled now.</summary>
        public bool Handle(ref RallyBall ball, double periodS)
        {
            if (Phase != RallyPhase.Held)
            {
                return false;
            }
            double wayX = _releaseXM - ball.X, wayY = _plan[0] - ball.Y;
            double left = Math.Sqrt(wayX * wayX + wayY * wayY);
            double share = Math.Min(1.0, _carryMps * periodS / Math.Max(left, 1e-9));
            ball.X += share * wayX;
            ball.Y += share * wayY;
            ball.VelocityX = ball.VelocityY = 0.0;
            bool isThere = left < 1e-6;
            _waitS -= isThere ? periodS : 0.0;
            if (!isThere || _waitS > 0.0)
            {
                return false;
            }
            double aheadX = _goalXM - _releaseXM, aheadY = _plan[1] - _plan[0];
            double pace = _plan[2] / Math.Sqrt(aheadX * aheadX + aheadY * aheadY);
            ball.VelocityX = pace * aheadX;
            ball.VelocityY = pace * aheadY;
            Phase = RallyPhase.Coming;
            return true;
        }

        private static double At(double[] ends, double difficulty) => ends[0] + (ends[1] - ends[0]) * difficulty;

        /// <summary>From where and to where along y, how fast, after how long a wait.</summary>
        private void Decide(double paddleY, double difficulty, IDraws draws)
        {
            for (int index = 0; index < Chances; index++)
            {
                _chance[index] = draws.Uniform(-1.0, 1.0);
            }
            double aside = At(_aimSpreadM, difficulty) * _chance[0];
            bool isAway = Math.Abs(_chance[1]) < At(_awayShare, difficulty);
            double aim = isAway ? -Math.Sign(paddleY) * Math.Abs(aside) : aside;
            bool isByRail = Math.Abs(_chance[2]) < At(_railShare, difficulty);
            aim = isByRail ? Math.Sign(_chance[3]) * 2.0 * _railYM - aim : aim;
            Plan(0, At(_fromM, difficulty) * _chance[4]);
            Plan(1, aim);
            Plan(2, At(_speedMps, difficulty) * (1.0 + _speedSpread * _chance[5]));
            Plan(3, _meanWaitS + At(_waitSpreadS, difficulty) * _chance[6]);
        }

        /// <summary>Within what may be asked.</summary>
        private void Plan(int index, double asked)
        {
            double decision = Math.Clamp(2.0 * (asked - _low[index]) / (_high[index] - _low[index]) - 1.0, -1.0, 1.0);
            _plan[index] = _low[index] + (decision + 1.0) * (_high[index] - _low[index]) / 2.0;
        }
    }

    /// <summary>The ball on the table, in base_link.</summary>
    public struct RallyBall
    {
        public double X;
        public double Y;
        public double VelocityX;
        public double VelocityY;

        /// <summary>Whether the paddle touched it during the decision.</summary>
        public bool MeetsPaddle;

        public double Speed => Math.Sqrt(VelocityX * VelocityX + VelocityY * VelocityY);
    }
}
