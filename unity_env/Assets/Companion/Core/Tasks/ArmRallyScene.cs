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
    public sealed class ArmRallyScene
    {
        private const int Six = Ur5e.Joints;
        private const int NewtonSteps = 8;

        private readonly Ur5e _robot;
        private readonly Tracker _tracker;
        private readonly PaddleSolver _solver;
        private readonly Places _at;
        private readonly Figure _figure;
        private readonly double[] _home, _homeSpread, _workspaceLow, _workspaceHigh;
        private readonly double _maxYawRad, _maxJointStepRad, _maxLeadM, _maxLeadRad, _ballRadiusM, _railYM;
        private readonly double _seatXM, _hipHeightM, _handPerS, _handMps, _handHeightM;
        private readonly int _wantedReturns, _difficulty, _encoderNoise;

        private readonly Ur5eKinematics _truth;
        private readonly Ur5eKinematics _seen;
        private readonly double[] _seenPosition = new double[Six];
        private readonly double[] _seenVelocity = new double[Six];
        private readonly double[] _change = new double[Six];
        private Perturbations _perturbations;
        private PaddlePose _paddleCommand;
        private RallyBall _ball;
        private Vec3 _hip;

        public ArmRallyScene(CompanionData data)
        {
            Task = data.Task("arm_rally");
            Rules = new ArmRallyRules(Task);
            JsonValue constants = Task.Constants, seated = data.Shared("seated");
            _robot = data.Ur5e;
            Game = new RallyGame(data.Shared("rally_player"));
            _tracker = new Tracker(Task, data.Shared("tracker"), 1, 2);
            _solver = new PaddleSolver(_robot, constants["HEIGHT_M"].Number);
            _at = new Places(Task.Signals);
            _figure = new Figure(seated);
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
            _truth = new Ur5eKinematics(_robot);
            _seen = new Ur5eKinematics(_robot);
            FeedForwardShare = data.Shared("arm_scene")["SERVO_LAG_S"].Number / Task.ControlPeriodS;
            var known = new Perturbations(Task);
            _difficulty = known.IndexOf("difficulty");
            _encoderNoise = known.IndexOf("encoder_noise_rad");
        }

        public TaskData Task { get; }

        public ArmRallyRules Rules { get; }

        public RallyGame Game { get; }

        /// <summary>Where the joints stand when an episode starts, rad.</summary>
        public double[] StartPosition { get; } = new double[Six];

        /// <summary>Where the servos are to take the joints by the end of this decision, rad.</summary>
        public double[] Command { get; } = new double[Six];

        /// <summary>The same of the decision before.</summary>
        public double[] CommandBefore { get; } = new double[Six];

        /// <summary>As <see cref="ArmHandoverScene.FeedForwardShare"/>.</summary>
        public double FeedForwardShare { get; }

        /// <summary>
        /// The ball before this decision's physics. Where <see cref="IsLaid"/>, put it there with its velocity, so that it
        /// rolls without slipping; else it is as physics left it.
        /// </summary>
        public RallyBall Ball => _ball;

        public bool IsLaid { get; private set; }

        /// <summary>Which hand plays: +1 the one towards +y, or -1.</summary>
        public double Side { get; private set; }

        /// <summary>The player's palm at the end of the decision.</summary>
        public Vec3 Hand { get; private set; }

        public Vec3 HandVelocity { get; private set; }

        /// <summary>How the player sits.</summary>
        public Posture Posture => new Posture(_figure, _hip, 0.0, Side, Hand);

        /// <summary>An episode starts: the paddle about its home, the first ball in the player's hand.</summary>
        /// <param name="perturbations">Of this episode; kept.</param>
        /// <param name="draws">Chance.</param>
        public void Start(Perturbations perturbations, IDraws draws)
        {
            _perturbations = perturbations;
            double x = _home[0] + _homeSpread[0] * draws.Uniform(-1.0, 1.0);
            double y = _home[1] + _homeSpread[1] * draws.Uniform(-1.0, 1.0);
            _paddleCommand = new PaddlePose(x, y, _home[2] + _homeSpread[2] * draws.Uniform(-1.0, 1.0));
            FindStartPosition();
            _truth.Update(StartPosition);
            Game.Begin(Paddle(_truth).Y, perturbations.Value(_difficulty), draws);
            _ball = new RallyBall { X = Game.ReleaseX, Y = Game.ReleaseY };
            IsLaid = true;
            Seat(draws);
            LookAtBall();
            _tracker.Begin(perturbations, draws);
        }

        /// <summary>A decision takes effect: the game goes on, the paddle moves as asked, the player's hand with the ball.</summary>
        /// <param name="action">The paddle's velocity and yaw rate, each in [-1, 1].</param>
        /// <param name="jointPosition">As measured, rad.</param>
        /// <param name="draws">Chance.</param>
        public void Drive(double[] action, double[] jointPosition, IDraws draws)
        {
            _truth.Update(jointPosition);
            PaddlePose paddle = Paddle(_truth);
            if (Game.Judge(_ball, Task.ControlPeriodS))
            {
                Game.Take(paddle.Y, _perturbations.Value(_difficulty), draws);
                _ball.X = Game.CatchXM;
                _ball.Y = Math.Clamp(_ball.Y, -Game.CatchHalfM, Game.CatchHalfM);
            }
            IsLaid = Game.Phase == RallyPhase.Held;
            Game.Handle(ref _ball, Task.ControlPeriodS);
            MovePaddle(paddle, action);
            MoveHand();
            _tracker.Tick(Task.ControlPeriodS);
        }

        /// <summary>All signals but those of the action.</summary>
        public void Measure(in RallyBody body, IDraws draws, double[] signals)
        {
            _ball = body.Ball;
            LookAtBall();
            _tracker.See(draws);
            MeasureJoints(body.Arm, draws, signals);
            _truth.Update(body.Arm.Position);
            _seen.Update(_seenPosition);
            MeasureSeen(signals);
            MeasurePaddle(body.Arm, signals);
            MeasureGame(signals);
            signals[_at.Contact] = Number(body.Arm.HasContact);
            signals[_at.ContactPerson] = Number(body.TouchesPerson);
        }

        private static double Number(bool claim) => claim ? 1.0 : 0.0;

        /// <summary>Where a ball that would get to y is, mirrored by rails at plus and minus a half width.</summary>
        private static double Folded(double y, double halfWidth)
        {
            double period = 4.0 * halfWidth, turned = y + halfWidth;
            turned -= period * Math.Floor(turned / period);
            return (turned > period / 2.0 ? period - turned : turned) - halfWidth;
        }

        private PaddlePose Paddle(Ur5eKinematics arm) => PaddlePose.Of(arm, _robot.ToolLengthM);

        private void LookAtBall()
        {
            _tracker.Truth[0] = _ball.X;
            _tracker.Truth[1] = _ball.Y;
        }

        private void FindStartPosition()
        {
            Array.Copy(_robot.ReadyPositionRad, StartPosition, Six);
            for (int step = 0; step < NewtonSteps; step++)
            {
                _solver.Solve(StartPosition, _paddleCommand, 1.0, _change);
                for (int joint = 0; joint < Six; joint++)
                {
                    StartPosition[joint] += _change[joint];
                }
            }
            Array.Copy(StartPosition, Command, Six);
            Array.Copy(StartPosition, CommandBefore, Six);
        }

        private void Seat(IDraws draws)
        {
            Side = draws.Uniform(0.0, 1.0) < 0.5 ? 1.0 : -1.0;
            double x = _seatXM + 0.02 * draws.Uniform(-1.0, 1.0), y = 0.02 * draws.Uniform(-1.0, 1.0) - 0.1 * Side;
            _hip = new Vec3(x, y, _hipHeightM + 0.03 * draws.Uniform(-1.0, 1.0));
            Hand = AtBall(_ball.X, _ball.Y);
            HandVelocity = default;
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
                double limit = _robot.JointLimitRad[joint];
                CommandBefore[joint] = Command[joint];
                Command[joint] = Math.Clamp(Command[joint] + _change[joint], -limit, limit);
            }
        }

        private static double Led(double command, double now, double most) => now + Math.Clamp(command - now, -most, most);

        /// <summary>The player's hand goes where the ball is, or will arrive, as far as the arm reaches.</summary>
        private void MoveHand()
        {
            Vec3 pull = _handPerS * _handPerS * (HandGoal() - Hand) - 2.0 * _handPerS * HandVelocity;
            Vec3 velocity = HandVelocity + Task.ControlPeriodS * pull;
            HandVelocity = Math.Min(1.0, _handMps / Math.Max(velocity.Length, 1e-9)) * velocity;
            Hand = Hand + Task.ControlPeriodS * HandVelocity;
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

        private void MeasureJoints(in ArmBody arm, IDraws draws, double[] signals)
        {
            double noise = _perturbations.Value(_encoderNoise), power = 0.0;
            for (int joint = 0; joint < Six; joint++)
            {
                _seenPosition[joint] = arm.Position[joint] + noise * draws.Normal();
                power += Math.Abs(arm.Torque[joint] * arm.Velocity[joint]);
            }
            for (int joint = 0; joint < Six; joint++)
            {
                _seenVelocity[joint] = arm.Velocity[joint] + 10.0 * noise * draws.Normal();
            }
            signals[_at.Power] = power;
        }

        /// <summary>What encoders and camera tell.</summary>
        private void MeasureSeen(double[] signals)
        {
            PaddlePose paddle = Paddle(_seen);
            double ballX = _tracker.Smooth[0], ballY = _tracker.Smooth[1];
            signals[_at.Ball] = ballX;
            signals[_at.Ball + 1] = ballY;
            signals[_at.BallVelocity] = _tracker.Velocity[0];
            signals[_at.BallVelocity + 1] = _tracker.Velocity[1];
            signals[_at.BallAge] = _tracker.AgeS[0];
            signals[_at.PaddleToBall] = ballX - paddle.X;
            signals[_at.PaddleToBall + 1] = ballY - paddle.Y;
            paddle.Write(signals, _at.Paddle);
            signals[_at.PaddleLead] = _paddleCommand.X - paddle.X;
            signals[_at.PaddleLead + 1] = _paddleCommand.Y - paddle.Y;
            signals[_at.PaddleLead + 2] = _paddleCommand.Yaw - paddle.Yaw;
            Vec3 velocity = _seen.Velocity(_seen.Point(_robot.ToolLengthM), _seenVelocity);
            signals[_at.PaddleVelocity] = velocity.X;
            signals[_at.PaddleVelocity + 1] = velocity.Y;
            signals[_at.PaddleVelocity + 2] = YawRate(_seen, _seenVelocity);
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
            PaddlePose paddle = Paddle(_truth);
            Vec3 velocity = _truth.Velocity(_truth.Point(_robot.ToolLengthM), arm.Velocity);
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
