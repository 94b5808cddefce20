"""Affines and quaternions: how NIfTI says where a grid lies, and when that makes sense."""

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]

_SHEAR = 2e-3  # cosine between two axes; rounding in real files stays below
_TURN = 5e-3  # direction cosines of qform and sform: near half a turn a float32 quaternion is this coarse


def fault(affine: Matrix) -> str | None:
    """What keeps the affine (4, 4) from describing a grid of right angles, or None."""
    if not np.isfinite(affine).all():
        return "is not finite"
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if sizes.min() == 0 or abs(np.linalg.det(affine[:3, :3] / sizes)) < 1e-3:
        return "is singular"
    turn = affine[:3, :3] / sizes
    shear = float(np.abs(turn.T @ turn - np.eye(3)).max())
    if shear > _SHEAR:
        return f"is sheared: two axes meet at {np.degrees(np.arccos(min(shear, 1.0))):.2f} degrees"
    return None


def agree(a: Matrix, b: Matrix) -> bool:
    """True when two affines differ by no more than the rounding of a float32 quaternion."""
    size_a, size_b = np.linalg.norm(a[:3, :3], axis=0), np.linalg.norm(b[:3, :3], axis=0)
    same_turn = np.abs(a[:3, :3] / size_a - b[:3, :3] / size_b).max() <= _TURN
    same_origin = np.abs(a[:3, 3] - b[:3, 3]).max() <= 1e-2 * size_a.min() + 1e-3
    return bool(same_turn and same_origin and np.allclose(size_a, size_b, rtol=1e-3))


def rotation(bcd: Matrix) -> Matrix:
    """The rotation (3, 3) of a unit quaternion a + bi + cj + dk, of which a >= 0 is left to be found."""
    b, c, d = bcd
    rest = 1.0 - float(bcd @ bcd)
    a = rest**0.5 if rest >= 1e-7 else 0.0  # below: half a turn, up to rounding, as in nifti1_io.c
    if a == 0.0:
        b, c, d = bcd / np.linalg.norm(bcd)
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )


def quaternion(turn: Matrix) -> tuple[Matrix, float]:
    """(b, c, d), a >= 0, of the rotation nearest to direction cosines; -1 where the third axis is mirrored, else 1."""
    left, _, right = np.linalg.svd(turn)
    turn = left @ right
    handed = 1.0 if np.linalg.det(turn) > 0 else -1.0
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = turn * [1.0, 1.0, handed]
    # The eigenvector of the largest eigenvalue is stable where the textbook formula divides by almost nothing.
    squares = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    abcd = np.linalg.eigh(squares)[1][:, -1]
    return abcd[1:] * (1.0 if abcd[0] >= 0 else -1.0), handed
