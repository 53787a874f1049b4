using System.Collections.Generic;
using Companion.Core;
using UnityEngine;

namespace Companion.Runtime
{
    /// <summary>Walls, furniture and people of one area, put where a task's scene says.</summary>
    public sealed class FurnishedRoom : MonoBehaviour
    {
        private const int Walls = 4;

        [SerializeField]
        [Tooltip("Thickness of the walls, m.")]
        private float _wallThicknessM = 0.1f;

        private readonly Transform[] _walls = new Transform[Walls];
        private Transform[] _furniture;
        private Rigidbody[] _people;
        private float _wallHeightM;

        /// <summary>Builds what the bodies describe; nothing stands anywhere yet. Its hulls are added to a list.</summary>
        public void Build(
            IReadOnlyList<BodyData> bodies, int pieces, int people, BodyBuilder builder,
            ICollection<BodyBuilder.Hull> hulls)
        {
            _furniture = new Transform[pieces];
            _people = new Rigidbody[people];
            foreach (BodyData body in bodies)
            {
                if (TryNumber(body.Name, "wall", out int wall))
                {
                    _walls[wall] = builder.BuildBlock(body, transform, hulls);
                    _wallHeightM = (float)body.Geoms[0].Size[0];
                }
                else if (TryNumber(body.Name, "furniture", out int piece))
                {
                    _furniture[piece] = builder.BuildBlock(body, transform, hulls);
                }
                else if (TryNumber(body.Name, "person", out int person))
                {
                    _people[person] = BuildPerson(builder.Build(body, transform, hulls));
                }
            }
        }

        /// <summary>Furnishes the room for an episode and puts the people into it.</summary>
        public void Arrange(Room room, Figures people)
        {
            PlaceWalls((float)room.HalfSize);
            for (int piece = 0; piece < _furniture.Length; piece++)
            {
                Transform one = _furniture[piece];
                one.gameObject.SetActive(room.IsThere(piece));
                one.SetLocalPositionAndRotation(
                    Frames.ToUnity(room.CentreX[piece], room.CentreY[piece], room.Height[piece] / 2.0),
                    Frames.YawToUnity(room.Yaw[piece]));
                one.localScale =
                    Frames.SizeToUnity(2.0 * room.HalfX[piece], 2.0 * room.HalfY[piece], room.Height[piece]);
            }
            for (int person = 0; person < _people.Length; person++)
            {
                Rigidbody one = _people[person];
                one.gameObject.SetActive(people.Present[person]);
                one.transform.SetLocalPositionAndRotation(
                    Frames.ToUnity(people.X[person], people.Y[person], 0.0), Frames.YawToUnity(people.Heading(person)));
                one.position = one.transform.position;
                one.rotation = one.transform.rotation;
            }
        }

        /// <summary>Walks everybody evenly from where they were at the last decision to where they go.</summary>
        /// <param name="people">Where they are and were.</param>
        /// <param name="share">How much of the decision is over after the coming physics step, up to 1.</param>
        public void Walk(Figures people, double share)
        {
            for (int person = 0; person < _people.Length; person++)
            {
                if (!people.Present[person])
                {
                    continue;
                }
                double x = people.BeforeX[person] + share * (people.X[person] - people.BeforeX[person]);
                double y = people.BeforeY[person] + share * (people.Y[person] - people.BeforeY[person]);
                Vector3 place = transform.TransformPoint(Frames.ToUnity(x, y, 0.0));
                _people[person].Move(place, transform.rotation * Frames.YawToUnity(people.Heading(person)));
            }
        }

        private void PlaceWalls(float halfSizeM)
        {
            float side = 2f * (halfSizeM + _wallThicknessM), away = halfSizeM + _wallThicknessM / 2f;
            for (int wall = 0; wall < Walls; wall++)
            {
                // Ahead, left, behind, right.
                double angle = wall * System.Math.PI / 2.0;
                Vector3 place = Frames.ToUnity(
                    away * System.Math.Cos(angle), away * System.Math.Sin(angle), _wallHeightM / 2.0);
                _walls[wall].SetLocalPositionAndRotation(place, Frames.YawToUnity(angle));
                _walls[wall].localScale = Frames.SizeToUnity(_wallThicknessM, side, _wallHeightM);
            }
        }

        private static Rigidbody BuildPerson(Transform figure)
        {
            var body = figure.gameObject.AddComponent<Rigidbody>();
            body.isKinematic = true;
            return body;
        }

        private static bool TryNumber(string name, string prefix, out int number)
        {
            number = 0;
            return name.StartsWith(prefix, System.StringComparison.Ordinal)
                && int.TryParse(name.Substring(prefix.Length), out number);
        }
    }
}
