using System;

namespace Companion.Core
{
    /// <summary>
    /// A person who sits across the table and holds a hand out, moves it about and withdraws it; how adversarial they are is
    /// one number, the difficulty. The same draws move them as python/companion/tasks/_seated.py does. base_link, m, s, rad.
    /// </summary>
    public sealed class SeatedPerson
    {
        private const int Tries = 30;
        private const int Coefficients = 6;
        private const int Chances = 8;

        private readonly double _reachM;
        private readonly double _hipHeightM;
        private readonly double[] _seatSpreadM;
        private readonly double _peakOfMean;
        private readonly double _shortestMoveS;
        private readonly double[] _reactionS;
        private readonly double _noticeM;
        private readonly double _forgetM;
        private readonly double[] _tremorHzRange;
        private readonly double _tremorReferenceHz;
        private readonly double _careM;
        private readonly double _headCareM;
        private readonly double _leanRadps;
        private readonly double[] _leanS;
        private readonly double[] _withdrawnS;
        private readonly double[] _stillS;
        private readonly double[] _pauseEnds, _moveEnds, _handSpeedEnds, _withdrawEnds, _shyEnds;
        private readonly double[] _stillEnds, _leanPerSEnds, _leanRadEnds, _tremorEnds;
        private readonly double[] _offerLowM;
        private readonly double[] _offerHighM;

        private readonly Vec3[] _path = new Vec3[Coefficients];
        private readonly double[] _chance = new double[Chances];
        private Vec3 _hip;
        private Vec3 _goal;
        private Vec3 _tremorAxis;
        private double _difficulty, _lean, _leanGoal, _leanWaitS, _pathS, _pathDurationS, _waitS, _reactS;
        private double _tremorM, _tremorHz, _tremorPhase, _clockS;
        private bool _isWithdrawn, _hasNoticed;

        /// <param name="shared">The constants of Python's <c>_seated</c>.</param>
        /// <param name="offer">Where the palm is held out: <c>low_m</c> and <c>high_m</c>.</param>
        public SeatedPerson(JsonValue shared, JsonValue offer)
        {
            Figure = new Figure(shared);
            _reachM = shared["REACH_M"].Number;
            _hipHeightM = shared["HIP_HEIGHT_M"].Number;
            _seatSpreadM = shared["SEAT_SPREAD_M"].Numbers;
            _peakOfMean = shared["PEAK_OF_MEAN"].Number;
            _shortestMoveS = shared["SHORTEST_MOVE_S"].Number;
            _reactionS = shared["REACTION_S"].Numbers;
            _noticeM = shared["NOTICE_M"].Number;
            _forgetM = shared["FORGET_M"].Number;
            _tremorHzRange = shared["TREMOR_HZ"].Numbers;
            _tremorReferenceHz = shared["TREMOR_REFERENCE_HZ"].Number;
            _careM = shared["CARE_M"].Number;
            _headCareM = shared["HEAD_CARE_M"].Number;
            _leanRadps = shared["LEAN_RADPS"].Number;
            _leanS = shared["LEAN_S"].Numbers;
            _withdrawnS = shared["WITHDRAWN_S"].Numbers;
            _stillS = shared["STILL_S"].Numbers;
            JsonValue temper = shared["TEMPER"];
            _pauseEnds = temper["pause_s"].Numbers;
            _moveEnds = temper["move_m"].Numbers;
            _handSpeedEnds = temper["hand_speed_mps"].Numbers;
            _withdrawEnds = temper["withdraw_share"].Numbers;
            _shyEnds = temper["shy_share"].Numbers;
            _stillEnds = temper["still_share"].Numbers;
            _leanPerSEnds = temper["lean_per_s"].Numbers;
            _leanRadEnds = temper["lean_rad"].Numbers;
            _tremorEnds = temper["tremor_m"].Numbers;
            _offerLowM = offer["low_m"].Numbers;
            _offerHighM = offer["high_m"].Numbers;
        }

        public Figure Figure { get; }

        /// <summary>Which hand is held out: +1 the one towards +y, or -1.</summary>
        public double Side { get; private set; }

        /// <summary>The palm, its tremor left out.</summary>
        public Vec3 Hand { get; private set; }

        public Vec3 HandVelocity { get; private set; }

        /// <summary>Where the palm truly is.</summary>
        public Vec3 TremblingHand => Hand + Tremor(0.0);

        /// <summary>How they sit now.</summary>
        public Posture Posture => new Posture(Figure, _hip, _lean, Side, TremblingHand);

        /// <summary>The tremor's displacement so long ago, s.</summary>
        public Vec3 Tremor(double agoS)
        {
            double turns = 2.0 * Math.PI * _tremorHz * (_clockS - agoS) + _tremorPhase;
            return _tremorM * Math.Sin(turns) * _tremorAxis;
        }

        /// <summary>An episode starts: they sit about so far from the robot and hold a hand out, clear of its points.</summary>
        public void SitDown(double seatXM, double difficulty, Vec3[] robot, IDraws draws)
        {
            _difficulty = difficulty;
            double x = draws.Uniform(-1.0, 1.0), y = draws.Uniform(-1.0, 1.0), z = draws.Uniform(-1.0, 1.0);
            _hip = new Vec3(seatXM + _seatSpreadM[0] * x, _seatSpreadM[1] * y, _hipHeightM + _seatSpreadM[2] * z);
            Side = draws.Uniform(0.0, 1.0) < 0.5 ? 1.0 : -1.0;
            _lean = _leanGoal = _pathS = _clockS = 0.0;
            _pathDurationS = 1.0;
            _isWithdrawn = _hasNoticed = false;
            _reactS = double.PositiveInfinity;
            Hand = _goal = DrawFirstPalm(robot, draws);
            HandVelocity = default;
            Array.Clear(_path, 0, Coefficients);
            _path[0] = Hand;
            _waitS = DrawPause(draws);
            // An exponential waiting time, from an even draw.
            _leanWaitS = -Math.Log(1.0 - draws.Uniform(0.0, 1.0)) / At(_leanPerSEnds);
            DrawTremor(draws);
        }

        /// <summary>Do what they do for one decision.</summary>
        /// <param name="robot">Points of it that people see, the object that it brings first.</param>
        /// <param name="periodS">Of the decision.</param>
        /// <param name="draws">Chance.</param>
        public void LiveOn(Vec3[] robot, double periodS, IDraws draws)
        {
            _clockS += periodS;
            _waitS -= periodS;
            _leanWaitS -= periodS;
            _reactS -= periodS;
            MoveHand(periodS);
            for (int index = 0; index < Chances; index++)
            {
                _chance[index] = draws.Uniform(0.0, 1.0);
            }
            Notice(robot[0]);
            Decide(robot, draws);
            Lean(robot, periodS);
        }

        private static double Between(double[] ends, double chance) => ends[0] + (ends[1] - ends[0]) * chance;

        private double At(double[] ends) => ends[0] + (ends[1] - ends[0]) * _difficulty;

        private double DrawPause(IDraws draws) => At(_pauseEnds) * draws.Uniform(0.6, 1.4);

        private Vec3 DrawOffer(IDraws draws)
        {
            double x = draws.Uniform(_offerLowM[0], _offerHighM[0]), y = draws.Uniform(_offerLowM[1], _offerHighM[1]);
            return new Vec3(x, y, draws.Uniform(_offerLowM[2], _offerHighM[2]));
        }

        private Vec3 DrawFirstPalm(Vec3[] robot, IDraws draws)
        {
            Vec3 palm = default;
            for (int tried = 0; tried < Tries; tried++)
            {
                palm = WithinReach(DrawOffer(draws));
                if (IsClear(palm, robot, _noticeM))
                {
                    break;
                }
            }
            return palm;
        }

        private void DrawTremor(IDraws draws)
        {
            _tremorHz = draws.Uniform(_tremorHzRange[0], _tremorHzRange[1]);
            double slower = _tremorReferenceHz / _tremorHz;
            _tremorM = At(_tremorEnds) * slower * slower;
            _tremorPhase = draws.Uniform(-Math.PI, Math.PI);
            double x = draws.Normal(), y = draws.Normal();
            _tremorAxis = new Vec3(x, y, draws.Normal()).Unit(0.0);
        }

        /// <summary>Along its polynomial, to whose end it then holds still.</summary>
        private void MoveHand(double periodS)
        {
            _pathS = Math.Min(_pathS + periodS, _pathDurationS);
            Vec3 place = default, velocity = default;
            double power = 1.0;
            for (int order = 0; order < Coefficients; order++)
            {
                place = place + power * _path[order];
                if (order + 1 < Coefficients)
                {
                    velocity = velocity + (order + 1) * power * _path[order + 1];
                }
                power *= _pathS;
            }
            Hand = place;
            HandVelocity = _pathS >= _pathDurationS ? default : velocity;
        }

        /// <summary>Begin to react to an object that comes near to the hand, once until it has gone away again.</summary>
        private void Notice(in Vec3 thing)
        {
            double distance = (thing - Hand).Length;
            if (distance < _noticeM && !_hasNoticed && !_isWithdrawn)
            {
                _hasNoticed = true;
                _reactS = Between(_reactionS, _chance[0]);
            }
            else if (distance > _forgetM)
            {
                _hasNoticed = false;
            }
        }

        /// <summary>Withdraw the hand, hold it still, hold it out again or move it about, when its time has come.</summary>
        private void Decide(Vec3[] robot, IDraws draws)
        {
            bool reacts = _reactS <= 0.0;
            bool isShy = reacts && _chance[1] < At(_shyEnds) && !_isWithdrawn;
            if (reacts)
            {
                _reactS = double.PositiveInfinity;
                if (!isShy && _chance[2] < At(_stillEnds))
                {
                    _waitS = Math.Max(_waitS, Between(_stillS, _chance[3]));
                }
            }
            bool isDue = _waitS <= 0.0 && !isShy;
            bool withdraws = isDue && !_isWithdrawn && _chance[4] < At(_withdrawEnds);
            if (isShy || withdraws)
            {
                Withdraw();
            }
            else if (isDue)
            {
                Offer(robot, draws);
            }
        }

        /// <summary>Take the hand back to the chest.</summary>
        private void Withdraw()
        {
            SetOut(_hip + new Vec3(-0.22, 0.12 * Side, 0.36));
            _isWithdrawn = true;
            _waitS = _pathDurationS + Between(_withdrawnS, _chance[5]);
        }

        /// <summary>Move the hand about where it is held out; wait where it would come too near to the robot.</summary>
        private void Offer(Vec3[] robot, IDraws draws)
        {
            double x = draws.Normal(), y = draws.Normal();
            Vec3 way = At(_moveEnds) * new Vec3(x, y, draws.Normal()).Unit(0.0);
            Vec3 anywhere = DrawOffer(draws), moved = _goal + way;
            var near = new Vec3(
                Math.Clamp(moved.X, _offerLowM[0], _offerHighM[0]),
                Math.Clamp(moved.Y, _offerLowM[1], _offerHighM[1]),
                Math.Clamp(moved.Z, _offerLowM[2], _offerHighM[2]));
            Vec3 goal = WithinReach(_isWithdrawn ? anywhere : near);
            if (!IsClear(goal, robot, _careM))
            {
                _waitS = 0.3;
                return;
            }
            SetOut(goal);
            _isWithdrawn = false;
            _waitS = _pathDurationS + DrawPause(draws);
        }

        /// <summary>Begin a minimum-jerk movement from the present place, speed and acceleration, to rest at a goal.</summary>
        private void SetOut(in Vec3 goal)
        {
            double duration = Math.Max(_peakOfMean * (goal - Hand).Length / At(_handSpeedEnds), _shortestMoveS);
            Vec3 acceleration = default;
            if (_pathS < _pathDurationS)
            {
                double power = 1.0;
                for (int order = 2; order < Coefficients; order++)
                {
                    acceleration = acceleration + order * (order - 1) * power * _path[order];
                    power *= _pathS;
                }
            }
            SetPath(acceleration, goal, duration);
            _goal = goal;
            _pathS = 0.0;
            _pathDurationS = duration;
        }

        /// <summary>The polynomial of fifth order of time that is at rest at a goal after a duration.</summary>
        private void SetPath(in Vec3 acceleration, in Vec3 goal, double t)
        {
            Vec3 left = goal - Hand - t * HandVelocity - t * t / 2.0 * acceleration;
            Vec3 speedLeft = -1.0 * HandVelocity - t * acceleration, bendLeft = -1.0 * acceleration;
            double square = t * t, cube = square * t;
            _path[0] = Hand;
            _path[1] = HandVelocity;
            _path[2] = 0.5 * acceleration;
            _path[3] = 1.0 / cube * (10.0 * left - 4.0 * t * speedLeft + square / 2.0 * bendLeft);
            _path[4] = 1.0 / (cube * t) * (-15.0 * left + 7.0 * t * speedLeft - square * bendLeft);
            _path[5] = 1.0 / (cube * square) * (6.0 * left - 3.0 * t * speedLeft + square / 2.0 * bendLeft);
        }

        /// <summary>Lean forward now and then, and back; back at once where the tool is near the face.</summary>
        private void Lean(Vec3[] robot, double periodS)
        {
            if (_leanWaitS <= 0.0)
            {
                bool isUp = _leanGoal == 0.0;
                double pause = -Math.Log(Math.Max(_chance[6], 1e-9)) / At(_leanPerSEnds);
                _leanWaitS = isUp ? Between(_leanS, _chance[6]) : pause;
                _leanGoal = isUp ? At(_leanRadEnds) * (0.5 + 0.5 * _chance[7]) : 0.0;
            }
            Vec3 head = Figure.Head(_hip, _lean);
            foreach (Vec3 point in robot)
            {
                if ((point - head).Length - Figure.HeadRadiusM < _headCareM)
                {
                    _leanGoal = 0.0;
                }
            }
            double most = _leanRadps * periodS;
            _lean += Math.Clamp(_leanGoal - _lean, -most, most);
        }

        /// <summary>The same point, drawn in to what the arm reaches when the person sits upright.</summary>
        private Vec3 WithinReach(in Vec3 palm)
        {
            Vec3 shoulder = _hip + new Vec3(0.0, Figure.ShoulderAsideM * Side, Figure.TrunkM);
            Vec3 way = palm - shoulder;
            return shoulder + Math.Min(1.0, _reachM / Math.Max(way.Length, 1e-6)) * way;
        }

        /// <summary>Whether the forearm would keep so far from the robot's points, with the palm there.</summary>
        private bool IsClear(in Vec3 palm, Vec3[] robot, double gapM)
        {
            var figure = new Posture(Figure, _hip, _lean, Side, palm);
            double nearest = double.PositiveInfinity;
            foreach (Vec3 point in robot)
            {
                nearest = Math.Min(nearest, point.DistanceToSegment(figure.Elbow, palm));
            }
            return nearest > gapM;
        }
    }
}
