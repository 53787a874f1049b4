// What the project's EditMode tests use of NUnit 3, whose assembly comes with the Editor only: they are checked for
// types against this.
using System;

namespace NUnit.Framework
{
    [AttributeUsage(AttributeTargets.Method)]
    public sealed class TestAttribute : Attribute
    {
    }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class SetUpAttribute : Attribute
    {
    }

    public static class Assert
    {
        public static void That<TActual>(TActual actual, Constraints.IResolveConstraint expression)
        {
        }

        public static void That<TActual>(TActual actual, Constraints.IResolveConstraint expression, string message, params object[] args)
        {
        }
    }

    public abstract class Is
    {
        public static Constraints.ConstraintExpression Not => null;

        public static Constraints.Constraint GreaterThan(object expected) => null;
    }
}

namespace NUnit.Framework.Constraints
{
    public interface IResolveConstraint
    {
    }

    public abstract class Constraint : IResolveConstraint
    {
    }

    public abstract class ConstraintExpression
    {
        public Constraint Empty => null;
    }
}
