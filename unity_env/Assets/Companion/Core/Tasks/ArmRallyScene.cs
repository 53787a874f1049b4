using System;

namespace Companion.Core
{
    /// <summary>What is true of arm and ball at the end of a decision.</summary>
    public struct RallyBody
    {
        /// <summary>Its contact is of arm or paddle, with anything but the ball.</summary>
        public ArmBody Arm;

        public RallyBall Ball;

        /// <summary>Whether arm or paddle touched the player.</summary>
        public bool TouchesPerson;
    }

    /// <summary>
    /// The part of arm_rally that is neither physics nor reward, for one copy, against the scripted player: it starts
    /// episodes, drives and measures. The same draws and the same physics give the same signals as
    /// python/companion/tasks/arm_rally.py.
    /// </summary>
    public sealed class ArmRallyScene : SeatedScene
    {
        private const int NewtonSteps = 8;

        private readonly PaddleSolver _solver;
        private readonly Places _at;
        private readonly double[] _home, _homeSpread, _workspaceLow, _workspaceHigh;
        private readonly double _maxYawRad, _maxJointStepRad, _maxLeadM, _maxLeadRad, _ballRadiusM, _railYM;
        private readonly double _seatXM, _hipHeightM, _handPerS, _handMps, _handHeightM, _rollingPerS;
        private readonly int _wantedReturns, _restitution, _rollingFactor;
        private readonly double[] _change = new double[Six];
        private PaddlePose _paddleCommand;
        private RallyBall _ball;
        private Vec3 _hip;
        private Vec3 _hand;
        private Vec3 _handVelocity;
        private double _side;

        public ArmRallyScene(CompanionData data) : this(data, data.Task("arm_rally"))
        {
        }

        private ArmRallyScene(CompanionData data, TaskData task)
            : base(data, new ArmRallyRules(task), new Tracker(task, data.Shared("tracker"), 1, 2))
        {
            JsonValue constants = Task.Constants, seated = data.Shared("seated");
            Game = new RallyGame(data.Shared("rally_player"));
            _solver = new PaddleSolver(Robot, constants["HEIGHT_M"].Number);
            _at = new Places(Task.Signals);
            Figure = new Figure(seated);
            _hipHeightM = seated["HIP_HEIGHT_M"].Number;
            _home = constants["HOME"].Numbers;
            _homeSpread = constants["HOME_SPREAD"].Numbers;
            _workspaceLow = constants["WORKSPACE_M"][0].Numbers;
            _workspaceHigh = constants["WORKSPACE_M"][1].Numbers;
            _maxYawRad = constants["MAX_YAW_RAD"].Number;
            _maxJointStepRad = constants["MAX_JOINT_STEP_RAD"].Number;
            _maxLeadM = constants["MAX_LEAD_M"].Number;
            _maxLeadRad = constants["MAX_LEAD_RAD"].Number;
            _ballRadiusM = constants["BALL_RADIUS_M"].Number;
            _railYM = constants["RAIL_Y_M"].Number;
            _seatXM = constants["SEAT_X_M"].Number;
            _handPerS = constants["HAND_PER_S"].Number;
            _handMps = constants["HAND_MPS"].Number;
            _handHeightM = constants["HAND_HEIGHT_M"].Number;
            _wantedReturns = constants["RETURNS"].Integer;
            _rollingPerS = constants["ROLLING_PER_S"].Number * RollingInertia(_ballRadiusM);
            var known = new Perturbations(Task);
            _restitution = known.IndexOf("restitution");
            _rollingFactor = known.IndexOf("rolling_factor");
        }

        public RallyGame Game { get; }

        /// <summary>
        /// The ball before this decision's physics. Where <see cref="IsLaid"/>, put it there with its velocity, so that it
        /// rolls without slipping; else it is as physics left it.
        /// </summary>
        public RallyBall Ball => _ball;

        public bool IsLaid { get; private set; }

        /// <summary>Share of its speed that the ball bounces with in this episode.</summary>
        public double Restitution => World.Value(_restitution);

        /// <summary>The force that slows the ball, for each m/s and kg, in this episode.</summary>
        public double BallDampingPerS => _rollingPerS * World.Value(_rollingFactor);

        public override Figure Figure { get; }

        public override double Side => _side;

        /// <summary>The player's hand does not tremble.</summary>
        public override Vec3 Palm => _hand;

        public override Posture Posture => new Posture(Figure, _hip, 0.0, _side, _hand);

        public override Vec3 Tremor(double agoS) => default;

        /// <summary>A decision takes effect: the game goes on, the paddle moves as asked, the player's hand with the ball.</summary>
        /// <param name="action">The paddle's velocity and yaw rate, each in [-1, 1].</param>
        /// <param name="jointPosition">As measured, rad.</param>
        /// <param name="draws">Chance.</param>
        public override void Drive(double[] action, double[] jointPosition, IDraws draws)
        {
            Truth.Update(jointPosition);
            PaddlePose paddle = Paddle(Truth);
            if (Game.Judge(_ball, Task.ControlPeriodS))
            {
                Game.Take(paddle.Y, Difficulty, draws);
                _ball.X = Game.CatchXM;
                _ball.Y = Math.Clamp(_ball.Y, -Game.CatchHalfM, Game.CatchHalfM);
            }
            IsLaid = Game.Phase == RallyPhase.Held;
            Game.Handle(ref _ball, Task.ControlPeriodS);
            MovePaddle(paddle, action);
            MoveHand();
            Tracker.Tick(Task.ControlPeriodS);
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in RallyBody body, IDraws draws, double[] signals)
        {
            _ball = body.Ball;
            LookAtBall();
            Tracker.See(draws);
            signals[_at.Power] = MeasureJoints(body.Arm, draws);
            MeasureSeen(signals);
            MeasurePaddle(body.Arm, signals);
            MeasureGame(signals);
            signals[_at.Contact] = Number(body.Arm.HasContact);
            signals[_at.ContactPerson] = Number(body.TouchesPerson);
        }

        /// <summary>The paddle about its home, the first ball in the player's hand.</summary>
        protected override void Arrange(IDraws draws)
        {
            double x = _home[0] + _homeSpread[0] * draws.Uniform(-1.0, 1.0);
            double y = _home[1] + _homeSpread[1] * draws.Uniform(-1.0, 1.0);
            _paddleCommand = new PaddlePose(x, y, _home[2] + _homeSpread[2] * draws.Uniform(-1.0, 1.0));
            FindStartPosition();
            Truth.Update(StartPosition);
            Game.Begin(Paddle(Truth).Y, Difficulty, draws);
            _ball = new RallyBall { X = Game.ReleaseX, Y = Game.ReleaseY };
            IsLaid = true;
            Seat(draws);
            LookAtBall();
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        /// <summary>Where a ball that would get to y is, mirrored by rails at plus and minus a half width.</summary>
        private static double Folded(double y, double halfWidth)
        {
            double period = 4.0 * halfWidth, turned = y + halfWidth;
            turned -= period * Math.Floor(turned / period);
            return (turned > period / 2.0 ? period - turned : turned) - halfWidth;
        }

        private PaddlePose Paddle(Ur5eKinematics arm) => PaddlePose.Of(arm, Robot.ToolLengthM);

        /// <summary>How much harder than its mass alone a ball is to slow down that rolls without slipping.</summary>
        private double RollingInertia(double radiusM)
        {
            foreach (BodyData body in Task.Bodies)
            {
                if (body.Name == "ball")
                {
                    return 1.0 + body.Inertia[0] / (body.MassKg * radiusM * radiusM);
                }
            }
            throw new FormatException($"no body 'ball' in the scene of {Task.Name}");
        }

        private void LookAtBall()
        {
            Tracker.Truth[0] = _ball.X;
            Tracker.Truth[1] = _ball.Y;
        }

        private void FindStartPosition()
        {
            Array.Copy(Robot.ReadyPositionRad, StartPosition, Six);
            for (int step = 0; step < NewtonSteps; step++)
            {
                _solver.Solve(StartPosition, _paddleCommand, 1.0, _change);
                for (int joint = 0; joint < Six; joint++)
                {
                    StartPosition[joint] += _change[joint];
                }
            }
        }

        private void Seat(IDraws draws)
        {
            _side = draws.Uniform(0.0, 1.0) < 0.5 ? 1.0 : -1.0;
            double x = _seatXM + 0.02 * draws.Uniform(-1.0, 1.0), y = 0.02 * draws.Uniform(-1.0, 1.0) - 0.1 * _side;
            _hip = new Vec3(x, y, _hipHeightM + 0.03 * draws.Uniform(-1.0, 1.0));
            _hand = AtBall(_ball.X, _ball.Y);
            _handVelocity = default;
        }

        /// <summary>The palm of a hand that has its fingers on a ball there.</summary>
        private Vec3 AtBall(double x, double y) => new Vec3(x + 0.1, y, _handHeightM);

        /// <summary>Resolved rates: joints that move the commanded paddle as asked and keep it at its height and upright.</summary>
        private void MovePaddle(in PaddlePose now, double[] action)
        {
            double period = Task.ControlPeriodS;
            double x = Led(_paddleCommand.X + Task.Action[0].Command(action[0]) * period, now.X, _maxLeadM);
            double y = Led(_paddleCommand.Y + Task.Action[1].Command(action[1]) * period, now.Y, _maxLeadM);
            double yaw = Led(_paddleCommand.Yaw + Task.Action[2].Command(action[2]) * period, now.Yaw, _maxLeadRad);
            _paddleCommand = new PaddlePose(
                Math.Clamp(x, _workspaceLow[0], _workspaceHigh[0]),
                Math.Clamp(y, _workspaceLow[1], _workspaceHigh[1]),
                Math.Clamp(yaw, -_maxYawRad, _maxYawRad));
            _solver.Solve(Command, _paddleCommand, _maxJointStepRad, _change);
            for (int joint = 0; joint < Six; joint++)
            {
                Ask(joint, Command[joint] + _change[joint]);
            }
        }

        private static double Led(double command, double now, double most) => now + Math.Clamp(command - now, -most, most);

        /// <summary>The player's hand goes where the ball is, or will arrive, as far as the arm reaches.</summary>
        private void MoveHand()
        {
            Vec3 pull = _handPerS * _handPerS * (HandGoal() - _hand) - 2.0 * _handPerS * _handVelocity;
            Vec3 velocity = _handVelocity + Task.ControlPeriodS * pull;
            _handVelocity = Math.Min(1.0, _handMps / Math.Max(velocity.Length, 1e-9)) * velocity;
            _hand = _hand + Task.ControlPeriodS * _handVelocity;
        }

        /// <summary>At a held ball; where a ball that rolls to the player will arrive; else in the middle.</summary>
        private Vec3 HandGoal()
        {
            if (Game.Phase == RallyPhase.Held)
            {
                return AtBall(_ball.X, _ball.Y);
            }
            double time = Math.Clamp((Game.CatchXM - _ball.X) / Math.Max(_ball.VelocityX, 0.05), 0.0, 2.0);
            double there = Math.Clamp(_ball.Y + _ball.VelocityY * time, -Game.CatchHalfM, Game.CatchHalfM);
            bool comes = Game.Phase == RallyPhase.Going && _ball.VelocityX > 0.05;
            return AtBall(Game.CatchXM, comes ? there : 0.0);
        }

        /// <summary>What encoders and camera tell.</summary>
        private void MeasureSeen(double[] signals)
        {
            PaddlePose paddle = Paddle(Seen);
            double ballX = Tracker.Smooth[0], ballY = Tracker.Smooth[1];
            signals[_at.Ball] = ballX;
            signals[_at.Ball + 1] = ballY;
            signals[_at.BallVelocity] = Tracker.Velocity[0];
            signals[_at.BallVelocity + 1] = Tracker.Velocity[1];
            signals[_at.BallAge] = Tracker.AgeS[0];
            signals[_at.PaddleToBall] = ballX - paddle.X;
            signals[_at.PaddleToBall + 1] = ballY - paddle.Y;
            paddle.Write(signals, _at.Paddle);
            signals[_at.PaddleLead] = _paddleCommand.X - paddle.X;
            signals[_at.PaddleLead + 1] = _paddleCommand.Y - paddle.Y;
            signals[_at.PaddleLead + 2] = _paddleCommand.Yaw - paddle.Yaw;
            Vec3 velocity = Seen.Velocity(Seen.Point(Robot.ToolLengthM), SeenVelocity);
            signals[_at.PaddleVelocity] = velocity.X;
            signals[_at.PaddleVelocity + 1] = velocity.Y;
            signals[_at.PaddleVelocity + 2] = YawRate(Seen, SeenVelocity);
        }

        private static double YawRate(Ur5eKinematics arm, double[] jointVelocity)
        {
            double rate = 0.0;
            for (int joint = 0; joint < Six; joint++)
            {
                rate += arm.Axis(joint).Z * jointVelocity[joint];
            }
            return rate;
        }

        private void MeasurePaddle(in ArmBody arm, double[] signals)
        {
            PaddlePose paddle = Paddle(Truth);
            Vec3 velocity = Truth.Velocity(Truth.Point(Robot.ToolLengthM), arm.Velocity);
            double toBallX = _ball.X - paddle.X, toBallY = _ball.Y - paddle.Y;
            signals[_at.TruePaddle] = paddle.X;
            signals[_at.TruePaddle + 1] = paddle.Y;
            signals[_at.PaddleSpeed] = Math.Sqrt(velocity.X * velocity.X + velocity.Y * velocity.Y);
            signals[_at.Distance] = Math.Sqrt(toBallX * toBallX + toBallY * toBallY);
            signals[_at.InterceptError] = InterceptError(paddle);
        }

        /// <summary>How far aside of the paddle a coming ball will pass it, m; 0 for any other ball.</summary>
        private double InterceptError(in PaddlePose paddle)
        {
            if (Game.Phase != RallyPhase.Coming || _ball.VelocityX >= -0.02 || _ball.X <= paddle.X)
            {
                return 0.0;
            }
            double time = (paddle.X - _ball.X) / _ball.VelocityX;
            return Math.Abs(Folded(_ball.Y + _ball.VelocityY * time, _railYM - _ballRadiusM) - paddle.Y);
        }

        private void MeasureGame(double[] signals)
        {
            bool toPerson = Game.Phase == RallyPhase.Going && _ball.VelocityX > 0.0;
            signals[_at.TrueBall] = _ball.X;
            signals[_at.TrueBall + 1] = _ball.Y;
            signals[_at.BallSpeed] = _ball.Speed;
            signals[_at.BallSpeedToPerson] = toPerson ? _ball.Speed : 0.0;
            signals[_at.Returns] = Game.Returns;
            signals[_at.Struck] = Number(Game.IsStruck);
            signals[_at.Returned] = Number(Game.IsReturned);
            signals[_at.Missed] = Number(Game.IsMissed);
            signals[_at.Success] = Number(Game.Returns >= _wantedReturns);
        }

        /// <summary>Where each signal begins.</summary>
        private sealed class Places
        {
            public readonly int Ball, BallVelocity, BallAge, PaddleToBall, Paddle, PaddleVelocity, PaddleLead, Returns;
            public readonly int TruePaddle, TrueBall, BallSpeed, Distance, InterceptError, Struck, Returned, Missed;
            public readonly int BallSpeedToPerson, PaddleSpeed, Power, Contact, ContactPerson, Success;

            public Places(SignalLayout signals)
            {
                Ball = signals.Where("ball_position_base").Start;
                BallVelocity = signals.Where("ball_velocity_base").Start;
                BallAge = signals.Where("ball_age_s").Start;
                PaddleToBall = signals.Where("paddle_to_ball_base").Start;
                Paddle = signals.Where("paddle_pose_base").Start;
                PaddleVelocity = signals.Where("paddle_velocity_base").Start;
                PaddleLead = signals.Where("paddle_lead").Start;
                Returns = signals.Where("returns").Start;
                TruePaddle = signals.Where("true_paddle_position_base").Start;
                TrueBall = signals.Where("ball_true_position_base").Start;
                BallSpeed = signals.Where("ball_speed").Start;
                Distance = signals.Where("distance").Start;
                InterceptError = signals.Where("intercept_error").Start;
                Struck = signals.Where("struck").Start;
                Returned = signals.Where("returned").Start;
                Missed = signals.Where("missed").Start;
                BallSpeedToPerson = signals.Where("ball_speed_to_person").Start;
                PaddleSpeed = signals.Where("paddle_speed").Start;
                Power = signals.Where("power").Start;
                Contact = signals.Where("contact").Start;
                ContactPerson = signals.Where("contact_person").Start;
                Success = signals.Where("success").Start;
            }
        }
    }
}
