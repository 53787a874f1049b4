"""A robot as a node of real ROS 2, for tests: run by a Python that has rclpy, beside the one that runs the tests.

It publishes fixed measurements on every topic that the links know and prints each command that it gets, one JSON
object per line. It shares no code with Companion.
"""

# pyright: reportMissingImports=false

import json
import sys

import rclpy
from geometry_msgs.msg import PointStamped, PoseStamped, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState, Joy, LaserScan
from std_msgs.msg import Bool, Float64, Float64MultiArray
from trajectory_msgs.msg import JointTrajectory

JOINTS = ["elbow_joint", "shoulder_lift_joint", "shoulder_pan_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint"]


def tell(kind, values):
    print(json.dumps({"kind": kind, "values": [float(value) for value in values]}), flush=True)


def on_twist(message):
    tell("Twist", (message.linear.x, message.angular.z))


def on_twist_stamped(message):
    tell("TwistStamped", (message.twist.linear.x, message.twist.angular.z))


def on_trajectory(message):
    point = message.points[-1]
    time_s = point.time_from_start.sec + point.time_from_start.nanosec * 1e-9
    tell("JointTrajectory", (*point.positions, time_s))


def on_positions(message):
    tell("Float64MultiArray", message.data)


def messages(stamp):
    scan = LaserScan(angle_min=0.0, angle_max=6.26573, angle_increment=0.0174533, range_min=0.12, range_max=3.5)
    scan.ranges = [1.0 + index / 360 for index in range(359)] + [float("inf")]
    odometry = Odometry(child_frame_id="base_footprint")
    odometry.pose.pose.position.x, odometry.pose.pose.orientation.w = 1.5, 1.0
    odometry.twist.twist.linear.x, odometry.twist.twist.angular.z = 0.125, -0.5
    goal = PoseStamped()
    goal.pose.position.x, goal.pose.position.y, goal.pose.orientation.w = 2.0, -1.0, 1.0
    positions = [float(index) / 8 for index in range(6)]
    joints = JointState(name=JOINTS, position=positions, velocity=[-one for one in positions])
    target = PointStamped()
    target.point.x, target.point.z = 0.5, 0.25
    target.header.frame_id = "base_link"
    joy = Joy(buttons=[1, 0, 0])
    found = {"scan": scan, "odom": odometry, "goal_pose": goal, "joint_states": joints, "target": target, "joy": joy}
    for name, message in found.items():
        message.header.stamp = stamp
        if name in ("odom", "goal_pose"):
            message.header.frame_id = "odom"
    return {**found, "person_distance": Float64(data=2.5), "contact": Bool(data=True)}


def main():
    domain, wants = int(sys.argv[1]), sys.argv[2]
    rclpy.init(domain_id=domain)
    node = rclpy.create_node("robot")
    twist = {"Twist": (Twist, on_twist), "TwistStamped": (TwistStamped, on_twist_stamped)}[wants]
    node.create_subscription(twist[0], "cmd_vel", twist[1], 10)
    trajectory = "scaled_joint_trajectory_controller/joint_trajectory"
    node.create_subscription(JointTrajectory, trajectory, on_trajectory, 10)
    node.create_subscription(Float64MultiArray, "forward_position_controller/commands", on_positions, 10)
    publishers = {}
    for name, message in messages(node.get_clock().now().to_msg()).items():
        quality = qos_profile_sensor_data if name == "scan" else 10
        publishers[name] = node.create_publisher(type(message), name, quality)

    def publish():
        for name, message in messages(node.get_clock().now().to_msg()).items():
            publishers[name].publish(message)

    node.create_timer(0.05, publish)
    print("ready", flush=True)
    rclpy.spin(node)


if __name__ == "__main__":
    main()
