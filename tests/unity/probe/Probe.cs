// Puts parts of Companion.Runtime through their paces on the stand-in engine. Every line that comes in is a question,
// a word and numbers; every line that goes out holds the numbers that answer it.
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Companion.Core;
using Companion.Runtime;
using UnityEngine;

public static class Probe
{
    static CompanionData data;
    static PrimitiveShapes shapes;
    static BodyBuilder builder;
    static ArmChain arm;
    static Transform armMount;
    static ArmChain handingArm;
    static SeatedFigure sitter;
    static List<BodyBuilder.Hull> armHulls;

    public static int Main(string[] words)
    {
        Bodies.Install();
        data = CompanionData.FromFolder(words[0]);
        shapes = new PrimitiveShapes();
        builder = new BodyBuilder(shapes);
        for (string line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            string[] parts = line.Split(' ');
            double[] numbers = parts.Skip(1).Select(part => double.Parse(part, CultureInfo.InvariantCulture)).ToArray();
            IEnumerable<double> answer = Answer(parts[0], numbers);
            Console.WriteLine(string.Join(" ", answer.Select(one => one.ToString("R", CultureInfo.InvariantCulture))));
        }
        return 0;
    }

    static IEnumerable<double> Answer(string question, double[] n) => question switch
    {
        "point" => Entries(Frames.ToUnity(n)),
        "turn_axis" => Entries(Frames.TurnToUnity(n)),
        "rotation" => Entries(Frames.RotationToUnity(n)),
        "yaw" => Entries(Frames.YawToUnity(n[0])),
        "there_and_back" => ThereAndBack(new Pose2(n[0], n[1], n[2])),
        "tool" => Tool(n),
        "arm_touches" => ArmTouches(n),
        "scan" => Scan((ulong)n[0]),
        "sitter_touched" => SitterTouched(n),
        "ball_on_floor" => BallAfter("mobile_ball", n),
        "ball_on_table" => BallAfter("arm_rally", n),
        _ => throw new InvalidDataException(question),
    };

    static IEnumerable<double> ThereAndBack(Pose2 pose)
    {
        Pose2 back = Frames.ToPose(Frames.ToUnity(pose.X, pose.Y, 0.0), Frames.YawToUnity(pose.Yaw));
        return new[] { back.X, back.Y, back.Yaw };
    }

    /// The tool's tip where the chain of transforms has it: right, up and ahead of the arm's foot.
    static IEnumerable<double> Tool(double[] joints)
    {
        BuildArm();
        arm.Place(joints);
        double reach = data.Ur5e.DhDM[5] + data.Ur5e.ToolLengthM;
        Vector3 tip = Named(armMount, "link6").TransformPoint(Frames.ToUnity(0.0, 0.0, reach));
        return Entries(armMount.InverseTransformPoint(tip));
    }

    /// Whether the arm that stands so touches itself or the table.
    static IEnumerable<double> ArmTouches(double[] joints)
    {
        BuildArm();
        arm.Place(joints);
        Engine.FixedStep();
        return new[] { arm.Touched != ContactKinds.None ? 1.0 : 0.0 };
    }

    /// A furnished room and what a scanner sees of it: half size, pieces, people, the first ray, and all ranges.
    static IEnumerable<double> Scan(ulong seed)
    {
        var scene = new MobileGotoScene(data);
        var world = new Perturbations(scene.Task);
        var chance = new Draws(seed);
        world.Draw(chance);
        scene.Start(world, chance);
        var area = new GameObject("area");
        // Not at the origin, where a mistake could hide.
        area.transform.position = new Vector3(30f, 0f, -20f);
        FurnishedRoom room = area.AddComponent<FurnishedRoom>();
        room.Build(scene.Task.Bodies, scene.Room.Pieces, scene.People.Count, builder, new List<BodyBuilder.Hull>());
        room.Arrange(scene.Room, scene.People);
        LidarScanner scanner = area.AddComponent<LidarScanner>();
        scanner.Build(scene.Rays, data.TurtleBot3.LidarPositionBaseM[2]);
        Pose2 pose = scene.ScannerPose(scene.StartPose);
        scanner.Scan(pose, area.transform, scene.TrueRanges);
        var told = new List<double> { scene.Room.HalfSize, scene.Room.Pieces };
        for (int piece = 0; piece < scene.Room.Pieces; piece++)
        {
            told.AddRange(new[]
            {
                scene.Room.CentreX[piece], scene.Room.CentreY[piece], scene.Room.HalfX[piece], scene.Room.HalfY[piece],
                scene.Room.Yaw[piece], scene.Room.Height[piece],
            });
        }
        told.Add(scene.People.Count);
        for (int person = 0; person < scene.People.Count; person++)
        {
            told.AddRange(new[] { scene.People.X[person], scene.People.Y[person] });
        }
        told.AddRange(new[] { pose.X, pose.Y, pose.Yaw });
        told.AddRange(scene.TrueRanges);
        UnityEngine.Object.Destroy(area);
        return told;
    }

    /// What an arm touches: six joint angles, then hip, lean, side and palm of who sits there → person, hand, else.
    static IEnumerable<double> SitterTouched(double[] n)
    {
        TaskData task = data.Task("arm_handover");
        if (sitter == null)
        {
            var place = new GameObject("handover").transform;
            place.position = new Vector3(-8f, 0.3f, 20f);
            var hulls = new List<BodyBuilder.Hull>();
            builder.AddShapes(task.Bodies[0], place, hulls);
            handingArm = new GameObject("arm").AddComponent<ArmChain>();
            handingArm.transform.SetParent(place, false);
            handingArm.Build(task.Bodies, data.Ur5e, builder, hulls);
            handingArm.SetLoad(1f, 0f, 0f);
            sitter = place.gameObject.AddComponent<SeatedFigure>();
            sitter.Build(task.Bodies, new ArmRallyScene(data).Figure, builder, hulls);
            BodyBuilder.IgnoreWhatNeverMeets(hulls);
        }
        sitter.Sit(new Sitting(new ArmRallyScene(data).Figure, n.Skip(6).ToArray()));
        handingArm.Place(n.Take(6).ToArray());
        Engine.FixedStep();
        ContactKinds touched = handingArm.Touched;
        double Is(ContactKinds kind) => (touched & kind) != ContactKinds.None ? 1.0 : 0.0;
        return new[] { Is(ContactKinds.Person), Is(ContactKinds.Hand), Is(ContactKinds.Thing | ContactKinds.Arm) };
    }

    /// Place and velocity that a ball starts with, two settings and a time → place and velocity after it.
    static IEnumerable<double> BallAfter(string name, double[] n)
    {
        TaskData task = data.Task(name);
        Time.fixedDeltaTime = (float)task.PhysicsStepS;
        Physics.bounceThreshold = 2f * 9.81f * Time.fixedDeltaTime;
        var area = new GameObject("ball area").transform;
        area.position = new Vector3(40f, 0f, 40f);
        var hulls = new List<BodyBuilder.Hull>();
        builder.AddShapes(task.Bodies[0], area, hulls);
        BodyData body = task.Bodies.First(one => one.Name == "ball");
        var ball = builder.Build(body, area, hulls).gameObject.AddComponent<RollingBall>();
        ball.Build(body);
        ball.TakeSurfaces(hulls);
        BodyBuilder.IgnoreWhatNeverMeets(hulls);
        if (name == "arm_rally") ball.SetBounciness((float)n[4]);
        ball.SetRolling(name == "arm_rally" ? 0f : (float)n[4], (float)n[5]);
        ball.Roll(n[0], n[1], n[2], n[3]);
        for (int step = 0; step < Math.Round(n[6] / task.PhysicsStepS); step++)
        {
            ball.Resist(Time.fixedDeltaTime);
            Engine.FixedStep();
        }
        ball.Measure(out BallState state);
        UnityEngine.Object.Destroy(area.gameObject);
        return new[] { state.X, state.Y, state.VelocityX, state.VelocityY };
    }

    /// Somebody who sits as told: hip, lean, side and palm.
    sealed class Sitting : ISeatedScene
    {
        readonly double[] told;

        public Sitting(Figure figure, double[] told) => (Figure, this.told) = (figure, told);

        public Figure Figure { get; }
        public Vec3 Palm => new(told[5], told[6], told[7]);
        public Posture Posture => new(Figure, new Vec3(told[0], told[1], told[2]), told[3], Side, Palm);
        public double Side => told[4];
        public Vec3 Tremor(double agoS) => default;
        public ITaskRules Rules => throw new NotSupportedException();
        public double[] StartPosition => throw new NotSupportedException();
        public double[] Command => throw new NotSupportedException();
        public double[] CommandBefore => throw new NotSupportedException();
        public double FeedForwardShare => throw new NotSupportedException();
        public void Start(Perturbations perturbations, IDraws draws) => throw new NotSupportedException();
        public void Drive(double[] action, double[] position, IDraws draws) => throw new NotSupportedException();
    }

    static void BuildArm()
    {
        if (arm != null) return;
        TaskData task = data.Task("arm_reach");
        armMount = new GameObject("mount").transform;
        armMount.position = new Vector3(3f, 0.5f, -6f);
        armHulls = new List<BodyBuilder.Hull>();
        foreach (BodyData body in task.Bodies.Where(body => body.Name == "world"))
        {
            builder.AddShapes(body, armMount, armHulls);
        }
        arm = armMount.gameObject.AddComponent<ArmChain>();
        arm.Build(task.Bodies, data.Ur5e, builder, armHulls);
        BodyBuilder.IgnoreWhatNeverMeets(armHulls);
        arm.SetLoad(1f, 0f, 0f);
    }

    static Transform Named(Transform place, string name)
    {
        if (place.name == name) return place;
        for (int child = 0; child < place.childCount; child++)
        {
            Transform found = Named(place.GetChild(child), name);
            if (found != null) return found;
        }
        return null;
    }

    static IEnumerable<double> Entries(Vector3 v) => new double[] { v.x, v.y, v.z };

    static IEnumerable<double> Entries(Quaternion q) => new double[] { q.x, q.y, q.z, q.w };
}
