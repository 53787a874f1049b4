namespace Companion.Core
{
    /// <summary>What the scenes of the UR5e have in common; they measure what their physics tells, each its own.</summary>
    public interface IArmScene
    {
        ITaskRules Rules { get; }

        /// <summary>Where the joints stand when an episode starts, rad.</summary>
        double[] StartPosition { get; }

        /// <summary>Where the servos are to take the joints in this decision, rad.</summary>
        double[] Command { get; }

        /// <summary>An episode starts.</summary>
        /// <param name="perturbations">Of this episode; kept.</param>
        /// <param name="draws">Chance.</param>
        void Start(Perturbations perturbations, IDraws draws);

        /// <summary>A decision takes effect.</summary>
        /// <param name="action">Each entry in [-1, 1].</param>
        /// <param name="jointPosition">As measured, rad.</param>
        /// <param name="draws">Chance.</param>
        void Drive(double[] action, double[] jointPosition, IDraws draws);
    }

    /// <summary>A scene with somebody at the other side of the table, in which the arm is moved at a speed, not to a place.</summary>
    public interface ISeatedScene : IArmScene
    {
        /// <summary><see cref="IArmScene.Command"/> of the decision before.</summary>
        double[] CommandBefore { get; }

        /// <summary>
        /// As the UR controller does, the velocity is fed forward: at a share s of the decision ask the servos for
        /// <see cref="CommandBefore"/> + (s + this) x the way from there to <see cref="IArmScene.Command"/>.
        /// </summary>
        double FeedForwardShare { get; }

        /// <summary>How the person is built.</summary>
        Figure Figure { get; }

        /// <summary>How they sit at the end of the decision.</summary>
        Posture Posture { get; }

        /// <summary>Their palm then, its tremor left out.</summary>
        Vec3 Palm { get; }

        /// <summary>Which hand it is: +1 the one towards +y, or -1.</summary>
        double Side { get; }

        /// <summary>The tremor's displacement so long before the end of the decision, s.</summary>
        Vec3 Tremor(double agoS);
    }
}
