using System;
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
                Files(words[2], words[3], (input, output) => ArmReach(data, input, output));
                break;
            case "terms":
                Console.WriteLine(string.Join("\n", RewardTerms.Names));
                break;
            case "arm_handover":
                Files(words[2], words[3], (input, output) => ArmHandover(data, input, output));
                break;
            case "arm_rally":
                Files(words[2], words[3], (input, output) => ArmRally(data, input, output));
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
                Console.WriteLine($"arm_reach {ArmReachAllocates(data)}");
                Console.WriteLine($"arm_handover {ArmHandoverAllocates(data)}");
                Console.WriteLine($"arm_rally {ArmRallyAllocates(data)}");
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
        var perturbations = new Perturbations(trace.Task);
        var history = new ActionHistory(trace.Task);
        int delay = perturbations.IndexOf("action_delay_steps");
        var signals = new double[trace.Task.Signals.Size];
        var body = new double[trace.BodySize];
        var action = new double[trace.Task.Action.Count];
        int copies = (int)input.ReadDouble(), steps = (int)input.ReadDouble();
        for (int copy = 0; copy < copies; copy++)
        {
            var draws = new RecordedDraws(Read(input, new double[(int)input.ReadDouble()]));
            perturbations.Draw(draws);
            history.Clear();
            trace.Start(perturbations, draws);
            Read(input, trace.TrueRanges);
            trace.FirstScan(draws);
            trace.Measure(Read(input, body), draws, signals);
            history.Write(signals);
            WritePerturbations(output, perturbations);
            Write(output, new[] { trace.StartPose.X, trace.StartPose.Y, trace.StartPose.Yaw });
            Write(output, signals);
            for (int step = 0; step < steps; step++)
            {
                history.Take(Array.ConvertAll(Read(input, action), entry => (float)entry));
                trace.Drive(history.Delayed((int)perturbations.Value(delay)), new Pose2(body[0], body[1], body[2]), draws);
                Read(input, body);
                bool isDue = input.ReadDouble() > 0.0;
                if (isDue != trace.IsScanDue)
                {
                    throw new InvalidOperationException($"copy {copy}, step {step}: a scan is due in one of both only");
                }
                if (isDue)
                {
                    Read(input, trace.TrueRanges);
                }
                trace.Measure(body, draws, signals);
                history.Write(signals);
                Write(output, signals);
                trace.WriteBeside(output);
            }
            draws.ExpectNoneLeft();
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

    private static void WriteFigures(BinaryWriter output, IFigures people)
    {
        for (int person = 0; person < people.Count; person++)
        {
            Write(output, new[] { people.X[person], people.Y[person], people.Heading(person) });
        }
    }

    private static void ArmReach(CompanionData data, BinaryReader input, BinaryWriter output)
    {
        var scene = new ArmReachScene(data);
        var perturbations = new Perturbations(scene.Task);
        var history = new ActionHistory(scene.Task);
        int delay = perturbations.IndexOf("action_delay_steps");
        var signals = new double[scene.Task.Signals.Size];
        ArmBody body = NewArm();
        int copies = (int)input.ReadDouble(), steps = (int)input.ReadDouble();
        for (int copy = 0; copy < copies; copy++)
        {
            var draws = new RecordedDraws(Read(input, new double[(int)input.ReadDouble()]));
            perturbations.Draw(draws);
            history.Clear();
            scene.Start(perturbations, draws);
            ReadArm(input, ref body);
            scene.Measure(body, draws, signals);
            history.Write(signals);
            WritePerturbations(output, perturbations);
            Write(output, scene.StartPosition);
            Write(output, signals);
            for (int step = 0; step < steps; step++)
            {
                history.Take(Array.ConvertAll(Read(input, new double[6]), entry => (float)entry));
                scene.Drive(history.Delayed((int)perturbations.Value(delay)), body.Position);
                ReadArm(input, ref body);
                scene.Measure(body, draws, signals);
                history.Write(signals);
                Write(output, signals);
                Write(output, scene.Command);
            }
            draws.ExpectNoneLeft();
        }
    }

    private static void ArmHandover(CompanionData data, BinaryReader input, BinaryWriter output)
    {
        var scene = new ArmHandoverScene(data);
        var perturbations = new Perturbations(scene.Task);
        var history = new ActionHistory(scene.Task);
        int delay = perturbations.IndexOf("action_delay_steps");
        var signals = new double[scene.Task.Signals.Size];
        var body = new HandoverBody { Arm = NewArm() };
        int copies = (int)input.ReadDouble(), steps = (int)input.ReadDouble();
        for (int copy = 0; copy < copies; copy++)
        {
            var draws = new RecordedDraws(Read(input, new double[(int)input.ReadDouble()]));
            perturbations.Draw(draws);
            history.Clear();
            scene.Start(perturbations, draws);
            ReadHandover(input, ref body);
            scene.Measure(body, draws, signals);
            history.Write(signals);
            WritePerturbations(output, perturbations);
            Write(output, scene.StartPosition);
            Write(output, signals);
            for (int step = 0; step < steps; step++)
            {
                history.Take(Array.ConvertAll(Read(input, new double[3]), entry => (float)entry));
                scene.Drive(history.Delayed((int)perturbations.Value(delay)), body.Arm.Position, draws);
                ReadHandover(input, ref body);
                scene.Measure(body, draws, signals);
                history.Write(signals);
                Write(output, signals);
                Write(output, scene.Command);
            }
            draws.ExpectNoneLeft();
        }
    }

    private static void ArmRally(CompanionData data, BinaryReader input, BinaryWriter output)
    {
        var scene = new ArmRallyScene(data);
        var perturbations = new Perturbations(scene.Task);
        var history = new ActionHistory(scene.Task);
        int delay = perturbations.IndexOf("action_delay_steps");
        var signals = new double[scene.Task.Signals.Size];
        var body = new RallyBody { Arm = NewArm() };
        int copies = (int)input.ReadDouble(), steps = (int)input.ReadDouble();
        for (int copy = 0; copy < copies; copy++)
        {
            var draws = new RecordedDraws(Read(input, new double[(int)input.ReadDouble()]));
            perturbations.Draw(draws);
            history.Clear();
            scene.Start(perturbations, draws);
            ReadRally(input, ref body);
            scene.Measure(body, draws, signals);
            history.Write(signals);
            WritePerturbations(output, perturbations);
            Write(output, scene.StartPosition);
            Write(output, signals);
            for (int step = 0; step < steps; step++)
            {
                history.Take(Array.ConvertAll(Read(input, new double[3]), entry => (float)entry));
                scene.Drive(history.Delayed((int)perturbations.Value(delay)), body.Arm.Position, draws);
                RallyBall laid = scene.Ball;
                ReadRally(input, ref body);
                scene.Measure(body, draws, signals);
                history.Write(signals);
                Write(output, signals);
                Write(output, scene.Command);
                Write(output, new[] { laid.X, laid.Y, laid.VelocityX, laid.VelocityY });
                Write(output, new[] { scene.Hand.X, scene.Hand.Y, scene.Hand.Z });
            }
            draws.ExpectNoneLeft();
        }
    }

    private static void ReadRally(BinaryReader input, ref RallyBody body)
    {
        ReadArm(input, ref body.Arm);
        body.TouchesPerson = input.ReadDouble() > 0.0;
        body.Ball.X = input.ReadDouble();
        body.Ball.Y = input.ReadDouble();
        body.Ball.VelocityX = input.ReadDouble();
        body.Ball.VelocityY = input.ReadDouble();
        body.Ball.MeetsPaddle = input.ReadDouble() > 0.0;
    }

    private static ArmBody NewArm()
    {
        return new ArmBody { Position = new double[6], Velocity = new double[6], Torque = new double[6] };
    }

    private static void ReadHandover(BinaryReader input, ref HandoverBody body)
    {
        ReadArm(input, ref body.Arm);
        body.TouchesPerson = input.ReadDouble() > 0.0;
        body.TouchesHand = input.ReadDouble() > 0.0;
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

    private static long MobileAllocates(CompanionData data, MobileTrace trace)
    {
        var step = new Step(data, TaskRules.For(trace.Task));
        var perturbations = new Perturbations(trace.Task);
        var history = new ActionHistory(trace.Task);
        var draws = new Draws(1);
        var action = new float[trace.Task.Action.Count];
        var body = new double[trace.BodySize];
        return Allocated(() =>
        {
            perturbations.Draw(draws);
            trace.Start(perturbations, draws);
            Array.Fill(trace.TrueRanges, 2.0);
            trace.FirstScan(draws);
            for (int decision = 0; decision < 50; decision++)
            {
                history.Take(action);
                trace.Drive(history.Delayed(1), trace.StartPose, draws);
                trace.Measure(body, draws, step.Signals);
                history.Write(step.Signals);
                step.Judge(decision == 0);
            }
        });
    }

    private static long ArmReachAllocates(CompanionData data)
    {
        var scene = new ArmReachScene(data);
        var step = new Step(data, scene.Rules);
        var perturbations = new Perturbations(scene.Task);
        var history = new ActionHistory(scene.Task);
        var draws = new Draws(1);
        var action = new float[scene.Task.Action.Count];
        var body = new ArmBody { Position = scene.StartPosition, Velocity = new double[6], Torque = new double[6] };
        return Allocated(() =>
        {
            perturbations.Draw(draws);
            scene.Start(perturbations, draws);
            for (int decision = 0; decision < 20; decision++)
            {
                history.Take(action);
                scene.Drive(history.Delayed(1), body.Position);
                scene.Measure(body, draws, step.Signals);
                history.Write(step.Signals);
                step.Judge(decision == 0);
            }
        });
    }

    private static long ArmHandoverAllocates(CompanionData data)
    {
        var scene = new ArmHandoverScene(data);
        var step = new Step(data, scene.Rules);
        var perturbations = new Perturbations(scene.Task);
        var history = new ActionHistory(scene.Task);
        var draws = new Draws(1);
        var action = new float[scene.Task.Action.Count];
        var body = new HandoverBody { Arm = NewArm() };
        return Allocated(() =>
        {
            perturbations.Draw(draws);
            scene.Start(perturbations, draws);
            for (int decision = 0; decision < 50; decision++)
            {
                history.Take(action);
                scene.Drive(history.Delayed(1), scene.StartPosition, draws);
                scene.Measure(body, draws, step.Signals);
                history.Write(step.Signals);
                step.Judge(decision == 0);
            }
        });
    }

    private static long ArmRallyAllocates(CompanionData data)
    {
        var scene = new ArmRallyScene(data);
        var step = new Step(data, scene.Rules);
        var perturbations = new Perturbations(scene.Task);
        var history = new ActionHistory(scene.Task);
        var draws = new Draws(1);
        var action = new float[scene.Task.Action.Count];
        var body = new RallyBody { Arm = NewArm() };
        return Allocated(() =>
        {
            perturbations.Draw(draws);
            scene.Start(perturbations, draws);
            for (int decision = 0; decision < 50; decision++)
            {
                history.Take(action);
                scene.Drive(history.Delayed(1), scene.StartPosition, draws);
                body.Ball = scene.Ball;
                scene.Measure(body, draws, step.Signals);
                history.Write(step.Signals);
                step.Judge(decision == 0);
            }
        });
    }

    /// <summary>Bytes that fifty episodes allocate after a first one.</summary>
    private static long Allocated(Action episode)
    {
        episode();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int index = 0; index < 50; index++)
        {
            episode();
        }
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static void PrintDraws(ulong seed, int count)
    {
        var draws = new Draws(seed);
        for (int index = 0; index < count; index++)
        {
            Console.WriteLine($"{draws.Uniform(-1.0, 3.0):R} {draws.Normal():R} {draws.Integer(2, 5)}");
        }
    }

    /// <summary>A scene of a wheeled robot, as all of them are alike.</summary>
    private abstract class MobileTrace
    {
        public abstract TaskData Task { get; }

        public abstract double[] TrueRanges { get; }

        public abstract Pose2 StartPose { get; }

        public abstract bool IsScanDue { get; }

        /// <summary>Numbers that physics tells: pose, velocities, wheel forces, contact, and more of a task's own.</summary>
        public virtual int BodySize => 9;

        public abstract void Start(Perturbations perturbations, IDraws draws);

        public abstract void FirstScan(IDraws draws);

        public abstract void Drive(double[] action, Pose2 robot, IDraws draws);

        public abstract void Measure(double[] body, IDraws draws, double[] signals);

        public abstract void WriteBeside(BinaryWriter output);
    }

    private sealed class GotoTrace : MobileTrace
    {
        private readonly MobileGotoScene _scene;

        public GotoTrace(CompanionData data) => _scene = new MobileGotoScene(data);

        public override TaskData Task => _scene.Task;

        public override double[] TrueRanges => _scene.TrueRanges;

        public override Pose2 StartPose => _scene.StartPose;

        public override bool IsScanDue => _scene.IsScanDue;

        public override void Start(Perturbations perturbations, IDraws draws) => _scene.Start(perturbations, draws);

        public override void FirstScan(IDraws draws) => _scene.FirstScan(draws);

        public override void Drive(double[] action, Pose2 robot, IDraws draws) => _scene.Drive(action, robot, draws);

        public override void Measure(double[] body, IDraws draws, double[] signals)
        {
            _scene.Measure(Robot(body), draws, signals);
        }

        public override void WriteBeside(BinaryWriter output)
        {
            Write(output, new[] { _scene.LeftWheelMps, _scene.RightWheelMps });
            WriteFigures(output, _scene.People);
        }
    }

    private sealed class FollowTrace : MobileTrace
    {
        private readonly MobileFollowScene _scene;

        public FollowTrace(CompanionData data) => _scene = new MobileFollowScene(data);

        public override TaskData Task => _scene.Task;

        public override double[] TrueRanges => _scene.TrueRanges;

        public override Pose2 StartPose => _scene.StartPose;

        public override bool IsScanDue => _scene.IsScanDue;

        public override void Start(Perturbations perturbations, IDraws draws) => _scene.Start(perturbations, draws);

        public override void FirstScan(IDraws draws) => _scene.FirstScan(draws);

        public override void Drive(double[] action, Pose2 robot, IDraws draws) => _scene.Drive(action, robot, draws);

        public override void Measure(double[] body, IDraws draws, double[] signals)
        {
            _scene.Measure(Robot(body), draws, signals);
        }

        public override void WriteBeside(BinaryWriter output)
        {
            Write(output, new[] { _scene.Base.LeftWheelMps, _scene.Base.RightWheelMps });
            WriteFigures(output, _scene.People);
        }
    }

    private sealed class BallTrace : MobileTrace
    {
        private readonly MobileBallScene _scene;

        public BallTrace(CompanionData data) => _scene = new MobileBallScene(data);

        public override TaskData Task => _scene.Task;

        public override double[] TrueRanges => _scene.TrueRanges;

        public override Pose2 StartPose => _scene.StartPose;

        public override bool IsScanDue => _scene.IsScanDue;

        public override int BodySize => 14;

        public override void Start(Perturbations perturbations, IDraws draws) => _scene.Start(perturbations, draws);

        public override void FirstScan(IDraws draws) => _scene.FirstScan(draws);

        public override void Drive(double[] action, Pose2 robot, IDraws draws) => _scene.Drive(action, robot, draws);

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
            Write(output, new[] { _scene.Base.LeftWheelMps, _scene.Base.RightWheelMps });
            WriteFigures(output, _scene.Player);
            double isRolled = _scene.IsRolled ? 1.0 : 0.0;
            Write(output, new[] { isRolled, isRolled * _scene.RollX, isRolled * _scene.RollY });
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

        public void Judge(bool isFirst)
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
