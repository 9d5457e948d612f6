"""What may have stood where pixels were removed: the linear imputation of ROAD."""

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import spsolve


def imputed_linearly(image, gone):
    """Values for removed pixels, each the weighted mean of its neighbours, removed ones among them.

    Rong et al. 2022, section 4.2: a neighbour beside weighs 1/6, one at a corner 1/12; at the
    border, where some are missing, the others as much more.

    Args:
        image: float `(H, W, channels)`.
        gone: bool `(H, W)`, some pixels but not all.

    Returns:
        float64 `(number of removed pixels, channels)`, in reading order.
    """
    height, width = gone.shape
    number = np.full((height + 2, width + 2), -1)
    number[1:-1, 1:-1][gone] = np.arange(gone.sum())
    known = np.pad(image * ~gone[..., None], ((1, 1), (1, 1), (0, 0)))
    inside = np.pad(np.ones((height, width)), 1)
    y, x = np.nonzero(np.pad(gone, 1))
    rows, columns, values = [np.arange(len(y))], [np.arange(len(y))], []
    total, right = np.zeros(len(y)), np.zeros((len(y), image.shape[-1]))
    for down in (-1, 0, 1):
        for along in (-1, 0, 1):
            if down or along:
                weight = (1 / 6 if 0 in (down, along) else 1 / 12) * inside[y + down, x + along]
                total += weight
                right += weight[:, None] * known[y + down, x + along]
                other = number[y + down, x + along]
                missing = other >= 0
                rows.append(np.flatnonzero(missing))
                columns.append(other[missing])
                values.append(-weight[missing])
    system = csr_matrix(
        (np.concatenate([total, *values]), (np.concatenate(rows), np.concatenate(columns)))
    )
    return spsolve(system, right).reshape(right.shape)
