using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Somebody who sits at the other side of the table: head, trunk, arms, and the hand that is held out.</summary>
    public sealed class SeatedFigure : MonoBehaviour
    {
        private readonly Rigidbody[] _parts = new Rigidbody[FigureParts.Count];
        private FigureParts _before;
        private FigureParts _now;

        /// <summary>Builds the figure's bodies; its hulls are added to a list.</summary>
        public void Build(
            IReadOnlyList<BodyData> bodies, Figure figure, BodyBuilder builder, ICollection<BodyBuilder.Hull> hulls)
        {
            _before = new FigureParts(figure);
            _now = new FigureParts(figure);
            foreach (BodyData body in bodies)
            {
                for (int part = 0; part < FigureParts.Count; part++)
                {
                    if (body.Name == FigureParts.Names[part])
                    {
                        GameObject built = builder.Build(body, transform, hulls).gameObject;
                        ContactLabel.Put(built, part == FigureParts.Hand ? ContactKinds.Hand : ContactKinds.Person);
                        _parts[part] = built.AddComponent<Rigidbody>();
                        _parts[part].isKinematic = true;
                    }
                }
            }
        }

        /// <summary>Sits down so, at once.</summary>
        public void Sit(ISeatedScene scene)
        {
            Aim(scene);
            Aim(scene);
            for (int part = 0; part < _parts.Length; part++)
            {
                _parts[part].transform.SetLocalPositionAndRotation(
                    Frames.ToUnity(_now.PlaceOf(part)), Frames.RotationToUnity(_now.TurnOf(part)));
                _parts[part].position = _parts[part].transform.position;
                _parts[part].rotation = _parts[part].transform.rotation;
            }
        }

        /// <summary>Will sit so at the end of the decision that begins.</summary>
        public void Aim(ISeatedScene scene)
        {
            (_before, _now) = (_now, _before);
            _now.Update(scene.Posture, scene.Palm, scene.Side);
        }

        /// <summary>Moves evenly from how it sat at the last decision to how it shall sit; the hand trembles beside.</summary>
        /// <param name="share">How much of the decision is over after the coming physics step, up to 1.</param>
        /// <param name="tremor">Of the hand, then.</param>
        public void Move(double share, in Vec3 tremor)
        {
            for (int part = 0; part < _parts.Length; part++)
            {
                Vec3 before = _before.PlaceOf(part), place = before + share * (_now.PlaceOf(part) - before);
                place = part == FigureParts.Hand ? place + tremor : place;
                _parts[part].Move(
                    transform.TransformPoint(Frames.ToUnity(place)),
                    transform.rotation * Frames.RotationToUnity(_now.TurnOf(part)));
            }
        }
    }
}
