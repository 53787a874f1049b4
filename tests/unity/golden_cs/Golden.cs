using System;
using System.Collections.Generic;
using System.IO;
using Companion.Core;

/// <summary>Puts Companion.Core through what Python recorded, for a comparison number by number.</summary>
public static class Golden
{
    public static void Main(string[] words)
    {
        CompanionData data = CompanionData.FromFolder(words[1]);
        switch (words[0])
        {
            case "rules":
                Files(words[4], words[5], (input, output) => Rules(data, words[2], words[3], input, output));
                break;
            case "mobile_goto":
            case "mobile_follow":
            case "mobile_ball":
                MobileTrace trace = Traced(data, words[0]);
                Files(words[2], words[3], (input, output) => Mobile(trace, input, output));
                break;
            case "arm_reach":
            case "arm_handover":
            case "arm_rally":
                ArmTrace armTrace = TracedArm(data, words[0]);
                Files(words[2], words[3], (input, output) => Arm(armTrace, input, output));
                break;
            case "ways":
                Files(words[2], words[3], (input, output) => WaysRound(data, input, output));
                break;
            case "figure":
                Files(words[2], words[3], (input, output) => FigureParts(data, input, output));
                break;
            case "terms":
                Console.WriteLine(string.Join("\n", RewardTerms.Names));
                break;
            case "parameters":
                Parameters(data, words[2], words[3]);
                break;
            case "episodes":
                Files(words[4], words[5], (input, output) => Episodes(data, words[2], words[3], input, output));
                break;
            case "allocations":
                foreach (string name in new[] { "mobile_goto", "mobile_follow", "mobile_ball" })
                {
                    Console.WriteLine($"{name} {MobileAllocates(data, Traced(data, name))}");
                }
                foreach (string name in new[] { "arm_reach", "arm_handover", "arm_rally" })
                {
                    Console.WriteLine($"{name} {ArmAllocates(data, TracedArm(data, name))}");
                }
                break;
            case "surfaces":
                PrintSurfaces(data.Task(words[2]));
                break;
            case "draws":
                PrintDraws(ulong.Parse(words[2]), int.Parse(words[3]));
                break;
            default:
                throw new ArgumentException(words[0]);
        }
    }

    private static void Files(string from, string to, Action<BinaryReader, BinaryWriter> work)
    {
        using var input = new BinaryReader(new BufferedStream(File.OpenRead(from), 1 << 20));
        using var output = new BinaryWriter(new BufferedStream(File.Create(to), 1 << 20));
        work(input, output);
    }

    private static double[] Read(BinaryReader input, double[] into)
    {
        for (int index = 0; index < into.Length; index++)
        {
            into[index] = input.ReadDouble();
        }
        return into;
    }

    private static void Write(BinaryWriter output, double[] values)
    {
        foreach (double value in values)
        {
            output.Write(value);
        }
    }

    private static void Write(BinaryWriter output, float[] values)
    {
        foreach (float value in values)
        {
            output.Write((double)value);
        }
    }

    /// <summary>Pairs of an episode's first signals and those of its first step → all that is made of them.</summary>
    private static void Rules(CompanionData data, string taskName, string recipe, BinaryReader input, BinaryWriter output)
    {
        TaskData task = data.Task(taskName);
        ITaskRules rules = TaskRules.For(task);
        var engine = new RewardEngine(data, task, task.Recipe(recipe), input.ReadDouble());
        var signals = new double[task.Signals.Size];
        var observation = new float[task.Observation.Size];
        for (int left = (int)input.ReadDouble(); left > 0; left--)
        {
            engine.Start(Read(input, signals));
            Read(input, signals);
            bool ends = rules.Ends(signals);
            float reward = engine.Step(signals, ends);
            rules.Observe(signals, observation);
            Write(output, observation);
            Write(output, engine.Raw);
            Write(output, engine.Weighted);
            Write(output, engine.Cost);
            output.Write((double)reward);
            output.Write(ends ? 1.0 : 0.0);
            output.Write(rules.Succeeded(signals) ? 1.0 : 0.0);
        }
    }

    /// <summary>Whole episodes of signals → their statistics.</summary>
    private static void Episodes(CompanionData data, string taskName, string recipe, BinaryReader input, BinaryWriter output)
    {
        TaskData task = data.Task(taskName);
        ITaskRules rules = TaskRules.For(task);
        var engine = new RewardEngine(data, task, task.Recipe(recipe), input.ReadDouble());
        var tally = new EpisodeTally(data, task, engine);
        var signals = new double[task.Signals.Size];
        Console.WriteLine(string.Join("\n", tally.StatisticNames));
        for (int left = (int)input.ReadDouble(); left > 0; left--)
        {
            int steps = (int)input.ReadDouble();
            tally.Clear();
            engine.Start(Read(input, signals));
            for (int step = 0; step < steps; step++)
            {
                Read(input, signals);
                tally.Add(signals, engine.Step(signals, rules.Ends(signals)));
            }
            for (int index = 0; index < tally.StatisticNames.Count; index++)
            {
                output.Write((double)tally.Statistic(index, rules.Succeeded(signals)));
            }
        }
    }

    /// <summary>The names and values of what may be changed from outside, before and after each was set to its place.</summary>
    private static void Parameters(CompanionData data, string taskName, string recipe)
    {
        TaskData task = data.Task(taskName);
        var engine = new RewardEngine(data, task, task.Recipe(recipe), 0.99);
        for (int index = 0; index < engine.ParameterNames.Count; index++)
        {
            double before = engine.GetParameter(index);
            engine.SetParameter(engine.ParameterNames[index], index + 0.5);
            Console.WriteLine($"{engine.ParameterNames[index]} {before:R} {engine.GetParameter(index):R}");
        }
        try
        {
            engine.SetParameter("reward/none/weight", 1.0);
        }
        catch (ArgumentException refused)
        {
            Console.WriteLine(refused.Message);
        }
    }

    /// <summary>Stretches of a wheeled robot's decisions → signals, wheel speeds and figures.</summary>
    private static void Mobile(MobileTrace trace, BinaryReader input, BinaryWriter output)
    {
        IMobileScene scene = trace.Scene;
        var stretch = new Stretch(scene.Rules.Task);
        var body = new double[trace.BodySize];
        stretch.Run(
            input,
            output,
            draws =>
            {
                scene.Start(stretch.Perturbations, draws);
                Read(input, scene.TrueRanges);
                scene.FirstScan(draws);
                trace.Measure(Read(input, body), draws, stretch.Signals);
                return new[] { scene.StartPose.X, scene.StartPose.Y, scene.StartPose.Yaw };
            },
            (action, draws) =>
            {
                scene.Drive(action, new Pose2(body[0], body[1], body[2]), draws);
                Read(input, body);
                bool isDue = input.ReadDouble() > 0.0;
                if (isDue != scene.IsScanDue)
                {
                    throw new InvalidOperationException("a scan is due in one of both only");
                }
                if (isDue)
                {
                    Read(input, scene.TrueRanges);
                }
                trace.Measure(body, draws, stretch.Signals);
            },
            () =>
            {
                Write(output, new[] { scene.LeftWheelMps, scene.RightWheelMps });
                WriteFigures(output, scene.People);
                trace.WriteBeside(output);
            });
    }

    /// <summary>Stretches of an arm's decisions → signals, commands and what lies on the table.</summary>
    private static void Arm(ArmTrace trace, BinaryReader input, BinaryWriter output)
    {
        IArmScene scene = trace.Scene;
        var stretch = new Stretch(scene.Rules.Task);
        stretch.Run(
            input,
            output,
            draws =>
            {
                scene.Start(stretch.Perturbations, draws);
                trace.ReadBody(input);
                trace.Measure(draws, stretch.Signals);
                return scene.StartPosition;
            },
            (action, draws) =>
            {
                scene.Drive(action, trace.Joints.Position, draws);
                trace.Driven();
                trace.ReadBody(input);
                trace.Measure(draws, stretch.Signals);
            },
            () =>
            {
                Write(output, scene.Command);
                trace.WriteBeside(output);
            });
    }

    /// <summary>Rooms as Python drew them, and pairs of points in each → the shortest way from one to the other.</summary>
    private static void WaysRound(CompanionData data, BinaryReader input, BinaryWriter output)
    {
        int rooms = (int)input.ReadDouble(), pieces = (int)input.ReadDouble(), pairs = (int)input.ReadDouble();
        var room = new Room(data.Shared("room"), pieces);
        var ways = new Ways(data.Shared("ways"), room);
        for (int left = rooms; left > 0; left--)
        {
            double size = input.ReadDouble(), there = input.ReadDouble();
            var draws = new RecordedDraws(Read(input, new double[(int)input.ReadDouble()]));
            room.Draw(size, there, draws);
            draws.ExpectNoneLeft();
            ways.Find();
            for (int pair = 0; pair < pairs; pair++)
            {
                double[] ends = Read(input, new double[4]);
                output.Write(ways.Shortest(ends[0], ends[1], ends[2], ends[3]));
            }
        }
    }

    /// <summary>Ways to sit (hip, lean, side, palm) → places and turns of all parts of the figure.</summary>
    private static void FigureParts(CompanionData data, BinaryReader input, BinaryWriter output)
    {
        Figure figure = new ArmRallyScene(data).Figure;
        var parts = new FigureParts(figure);
        for (int left = (int)input.ReadDouble(); left > 0; left--)
        {
            double[] told = Read(input, new double[8]);
            var palm = new Vec3(told[5], told[6], told[7]);
            parts.Update(new Posture(figure, new Vec3(told[0], told[1], told[2]), told[3], told[4], palm), palm, told[4]);
            for (int part = 0; part < Companion.Core.FigureParts.Count; part++)
            {
                Vec3 place = parts.PlaceOf(part);
                Turn turn = parts.TurnOf(part);
                Write(output, new[] { place.X, place.Y, place.Z, turn.W, turn.X, turn.Y, turn.Z });
            }
        }
    }

    private static MobileBody Robot(double[] told)
    {
        return new MobileBody
        {
            X = told[0],
            Y = told[1],
            Yaw = told[2],
            VelocityX = told[3],
            VelocityY = told[4],
            TurningSpeed = told[5],
            LeftForceN = told[6],
            RightForceN = told[7],
            HasContact = told[8] > 0.0,
        };
    }

    private static void WriteFigures(BinaryWriter output, Figures people)
    {
        for (int person = 0; person < people.Count; person++)
        {
            Write(output, new[] { people.X[person], people.Y[person], people.Heading(person) });
        }
    }

    private static ArmBody NewArm()
    {
        return new ArmBody { Position = new double[6], Velocity = new double[6], Torque = new double[6] };
    }

    private static void ReadArm(BinaryReader input, ref ArmBody body)
    {
        Read(input, body.Position);
        Read(input, body.Velocity);
        Read(input, body.Torque);
        body.HasContact = input.ReadDouble() > 0.0;
    }

    private static void WritePerturbations(BinaryWriter output, Perturbations perturbations)
    {
        for (int index = 0; index < perturbations.Count; index++)
        {
            output.Write(perturbations.Value(index));
        }
    }

    private static MobileTrace Traced(CompanionData data, string task)
    {
        switch (task)
        {
            case "mobile_goto": return new GotoTrace(data);
            case "mobile_follow": return new FollowTrace(data);
            default: return new BallTrace(data);
        }
    }

    private static ArmTrace TracedArm(CompanionData data, string task)
    {
        switch (task)
        {
            case "arm_reach": return new ReachTrace(data);
            case "arm_handover": return new HandoverTrace(data);
            default: return new RallyTrace(data);
        }
    }

    private static long MobileAllocates(CompanionData data, MobileTrace trace)
    {
        IMobileScene scene = trace.Scene;
        var step = new Step(data, scene.Rules);
        var body = new double[trace.BodySize];
        return step.Allocated(
            (perturbations, draws) =>
            {
                scene.Start(perturbations, draws);
                Array.Fill(scene.TrueRanges, 2.0);
                scene.FirstScan(draws);
            },
            (action, draws) =>
            {
                scene.Drive(action, scene.StartPose, draws);
                trace.Measure(body, draws, step.Signals);
            });
    }

    private static long ArmAllocates(CompanionData data, ArmTrace trace)
    {
        var step = new Step(data, trace.Scene.Rules);
        return step.Allocated(
            (perturbations, draws) => trace.Scene.Start(perturbations, draws),
            (action, draws) =>
            {
                trace.Scene.Drive(action, trace.Scene.StartPosition, draws);
                trace.Driven();
                trace.Measure(draws, step.Signals);
            });
    }

    /// <summary>Whatever the ball meets: its name, friction and bounciness.</summary>
    private static void PrintSurfaces(TaskData task)
    {
        var geoms = new List<GeomData>();
        foreach (BodyData body in task.Bodies)
        {
            geoms.AddRange(body.Geoms);
        }
        GeomData ball = geoms.Find(geom => geom.Name == "ball");
        foreach (GeomData geom in geoms.FindAll(geom => geom.Meets(ball)))
        {
            Console.WriteLine($"{geom.Name} {geom.FrictionWith(ball):R} {ball.BouncinessWith(geom):R}");
        }
    }

    private static void PrintDraws(ulong seed, int count)
    {
        var draws = new Draws(seed);
        for (int index = 0; index < count; index++)
        {
            Console.WriteLine($"{draws.Uniform(-1.0, 3.0):R} {draws.Normal():R} {draws.Integer(2, 5)}");
        }
    }

    /// <summary>Copies that go through so many decisions each, as Python recorded them.</summary>
    private sealed class Stretch
    {
        public readonly Perturbations Perturbations;
        public readonly double[] Signals;

        private readonly ActionHistory _history;
        private readonly double[] _action;
        private readonly int _delay;

        public Stretch(TaskData task)
        {
            Perturbations = new Perturbations(task);
            Signals = new double[task.Signals.Size];
            _history = new ActionHistory(task);
            _action = new double[task.Action.Count];
            _delay = Perturbations.IndexOf("action_delay_steps");
        }

        /// <summary>Writes perturbations, where the robot starts, and after every decision all signals and what is beside.</summary>
        public void Run(
            BinaryReader input, BinaryWriter output, Func<IDraws, double[]> start, Action<double[], IDraws> decide,
            Action writeBeside)
        {
            int copies = (int)input.ReadDouble(), steps = (int)input.ReadDouble();
            for (int copy = 0; copy < copies; copy++)
            {
                var draws = new RecordedDraws(Read(input, new double[(int)input.ReadDouble()]));
                Perturbations.Draw(draws);
                _history.Clear();
                double[] begins = start(draws);
                _history.Write(Signals);
                for (int index = 0; index < Perturbations.Count; index++)
                {
                    output.Write(Perturbations.Value(index));
                }
                Write(output, begins);
                Write(output, Signals);
                for (int step = 0; step < steps; step++)
                {
                    _history.Take(Array.ConvertAll(Read(input, _action), entry => (float)entry));
                    decide(_history.Delayed((int)Perturbations.Value(_delay)), draws);
                    _history.Write(Signals);
                    Write(output, Signals);
                    writeBeside();
                }
                draws.ExpectNoneLeft();
            }
        }
    }

    /// <summary>A scene of a wheeled robot, and what physics tells it.</summary>
    private abstract class MobileTrace
    {
        public abstract IMobileScene Scene { get; }

        /// <summary>Numbers that physics tells: pose, velocities, wheel forces, contact, and more of a task's own.</summary>
        public virtual int BodySize => 9;

        public abstract void Measure(double[] body, IDraws draws, double[] signals);

        public virtual void WriteBeside(BinaryWriter output)
        {
        }
    }

    private sealed class GotoTrace : MobileTrace
    {
        private readonly MobileGotoScene _scene;

        public GotoTrace(CompanionData data) => _scene = new MobileGotoScene(data);

        public override IMobileScene Scene => _scene;

        public override void Measure(double[] body, IDraws draws, double[] signals) =>
            _scene.Measure(Robot(body), draws, signals);
    }

    private sealed class FollowTrace : MobileTrace
    {
        private readonly MobileFollowScene _scene;

        public FollowTrace(CompanionData data) => _scene = new MobileFollowScene(data);

        public override IMobileScene Scene => _scene;

        public override void Measure(double[] body, IDraws draws, double[] signals) =>
            _scene.Measure(Robot(body), draws, signals);
    }

    private sealed class BallTrace : MobileTrace
    {
        private readonly MobileBallScene _scene;

        public BallTrace(CompanionData data) => _scene = new MobileBallScene(data);

        public override IMobileScene Scene => _scene;

        public override int BodySize => 14;

        public override void Measure(double[] body, IDraws draws, double[] signals)
        {
            var now = new BallBody
            {
                Robot = Robot(body),
                BallX = body[9],
                BallY = body[10],
                BallVelocityX = body[11],
                BallVelocityY = body[12],
                HasTouchedBall = body[13] > 0.0,
            };
            _scene.Measure(now, draws, signals);
        }

        public override void WriteBeside(BinaryWriter output)
        {
            double isRolled = _scene.IsRolled ? 1.0 : 0.0;
            Write(output, new[] { isRolled, isRolled * _scene.RollX, isRolled * _scene.RollY });
        }
    }

    /// <summary>A scene of the arm, and what physics tells it.</summary>
    private abstract class ArmTrace
    {
        public abstract IArmScene Scene { get; }

        public abstract ArmBody Joints { get; }

        public abstract void ReadBody(BinaryReader input);

        public abstract void Measure(IDraws draws, double[] signals);

        /// <summary>A decision has taken effect, its physics are still to come.</summary>
        public virtual void Driven()
        {
        }

        public virtual void WriteBeside(BinaryWriter output)
        {
        }
    }

    private sealed class ReachTrace : ArmTrace
    {
        private readonly ArmReachScene _scene;
        private ArmBody _body = NewArm();

        public ReachTrace(CompanionData data) => _scene = new ArmReachScene(data);

        public override IArmScene Scene => _scene;

        public override ArmBody Joints => _body;

        public override void ReadBody(BinaryReader input) => ReadArm(input, ref _body);

        public override void Measure(IDraws draws, double[] signals) => _scene.Measure(_body, draws, signals);
    }

    private sealed class HandoverTrace : ArmTrace
    {
        private readonly ArmHandoverScene _scene;
        private HandoverBody _body = new HandoverBody { Arm = NewArm() };

        public HandoverTrace(CompanionData data) => _scene = new ArmHandoverScene(data);

        public override IArmScene Scene => _scene;

        public override ArmBody Joints => _body.Arm;

        public override void ReadBody(BinaryReader input)
        {
            ReadArm(input, ref _body.Arm);
            _body.TouchesPerson = input.ReadDouble() > 0.0;
            _body.TouchesHand = input.ReadDouble() > 0.0;
        }

        public override void Measure(IDraws draws, double[] signals) => _scene.Measure(_body, draws, signals);
    }

    private sealed class RallyTrace : ArmTrace
    {
        private readonly ArmRallyScene _scene;
        private RallyBody _body = new RallyBody { Arm = NewArm() };
        private RallyBall _laid;

        public RallyTrace(CompanionData data) => _scene = new ArmRallyScene(data);

        public override IArmScene Scene => _scene;

        public override ArmBody Joints => _body.Arm;

        public override void Driven() => _body.Ball = _laid = _scene.Ball;

        public override void ReadBody(BinaryReader input)
        {
            ReadArm(input, ref _body.Arm);
            _body.TouchesPerson = input.ReadDouble() > 0.0;
            _body.Ball.X = input.ReadDouble();
            _body.Ball.Y = input.ReadDouble();
            _body.Ball.VelocityX = input.ReadDouble();
            _body.Ball.VelocityY = input.ReadDouble();
            _body.Ball.MeetsPaddle = input.ReadDouble() > 0.0;
        }

        public override void Measure(IDraws draws, double[] signals) => _scene.Measure(_body, draws, signals);

        public override void WriteBeside(BinaryWriter output)
        {
            Write(output, new[] { _laid.X, _laid.Y, _laid.VelocityX, _laid.VelocityY });
            Write(output, new[] { _scene.Palm.X, _scene.Palm.Y, _scene.Palm.Z });
        }
    }

    /// <summary>What an agent does with the signals of each step.</summary>
    private sealed class Step
    {
        public readonly double[] Signals;

        private readonly ITaskRules _rules;
        private readonly RewardEngine _engine;
        private readonly EpisodeTally _tally;
        private readonly float[] _observation;

        public Step(CompanionData data, ITaskRules rules)
        {
            _rules = rules;
            _engine = new RewardEngine(data, rules.Task, rules.Task.Recipe("full"), 0.99);
            _tally = new EpisodeTally(data, rules.Task, _engine);
            Signals = new double[rules.Task.Signals.Size];
            _observation = new float[rules.Task.Observation.Size];
        }

        /// <summary>Bytes that fifty episodes of fifty decisions allocate after a first one.</summary>
        public long Allocated(Action<Perturbations, IDraws> start, Action<double[], IDraws> decide)
        {
            var perturbations = new Perturbations(_rules.Task);
            var history = new ActionHistory(_rules.Task);
            var draws = new Draws(1);
            var action = new float[_rules.Task.Action.Count];
            long before = 0;
            for (int episode = 0; episode <= 50; episode++)
            {
                before = episode == 1 ? GC.GetAllocatedBytesForCurrentThread() : before;
                perturbations.Draw(draws);
                start(perturbations, draws);
                for (int decision = 0; decision < 50; decision++)
                {
                    history.Take(action);
                    decide(history.Delayed(1), draws);
                    history.Write(Signals);
                    Judge(decision == 0);
                }
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }

        private void Judge(bool isFirst)
        {
            _rules.Observe(Signals, _observation);
            if (isFirst)
            {
                _tally.Clear();
                _engine.Start(Signals);
                return;
            }
            bool ends = _rules.Ends(Signals);
            _tally.Add(Signals, _engine.Step(Signals, ends));
            _tally.Statistic(0, ends && _rules.Succeeded(Signals));
        }
    }

    /// <summary>The numbers that Python drew, in its order.</summary>
    private sealed class RecordedDraws : IDraws
    {
        private readonly double[] _values;
        private int _next;

        public RecordedDraws(double[] values) => _values = values;

        public double Uniform(double low, double high)
        {
            double value = _values[_next++];
            return value >= low && value <= high
                ? value
                : throw new InvalidOperationException($"draw {_next - 1} is {value}, which is not from {low} to {high}");
        }

        public double Normal() => _values[_next++];

        public int Integer(int low, int highIncluded) => (int)Uniform(low, highIncluded);

        public void ExpectNoneLeft()
        {
            if (_next != _values.Length)
            {
                throw new InvalidOperationException($"{_values.Length - _next} draws of Python's were not made");
            }
        }
    }
}
