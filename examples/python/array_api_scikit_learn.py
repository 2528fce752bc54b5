"""scikit-learn on our arrays: digits are scaled, projected, told apart and counted without leaving them.

What scikit-learn writes for the Array API standard runs here (`array_api_dispatch`); the results are our arrays, and those that
it has for NumPy's.

    python examples/python/array_api_scikit_learn.py
"""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported: it is what lets other libraries' arrays in

import mlx.core as mx  # noqa: E402
import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.decomposition import PCA  # noqa: E402
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # noqa: E402
from sklearn.linear_model import Ridge  # noqa: E402
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, r2_score  # noqa: E402
from sklearn.metrics.pairwise import cosine_similarity, euclidean_distances, rbf_kernel  # noqa: E402
from sklearn.model_selection import train_test_split  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler  # noqa: E402

sklearn.set_config(array_api_dispatch=True)


def close(name: str, ours: object, numpy: object, tolerance: float = 2e-3) -> None:
    """Says how far our result is from NumPy's, which must not be far."""
    assert isinstance(ours, (mx.array, float)), type(ours)
    x, y = np.array(ours, np.float64), np.asarray(numpy, np.float64)
    assert x.shape == y.shape, (name, x.shape, y.shape)
    error = np.abs(x - y).max() / np.abs(y).max()
    print(f"{name:28s} {type(ours).__name__:6s} {x.shape!s:11s} {error:.0e} from NumPy's")
    assert error < tolerance, name


def main() -> None:
    data, labels = load_digits(return_X_y=True)
    data, labels = data.astype(np.float32) + 0.01 * np.random.default_rng(0).random(data.shape, np.float32), labels.astype(np.int32)
    X, y = mx.array(data), mx.array(labels)

    close("StandardScaler", StandardScaler().fit_transform(X), StandardScaler().fit_transform(data))
    close("MinMaxScaler", MinMaxScaler().fit_transform(X), MinMaxScaler().fit_transform(data))
    few = PolynomialFeatures(degree=2)
    close("PolynomialFeatures", few.fit_transform(X[:, :8]), few.fit_transform(data[:, :8]))
    for solver in ("full", "covariance_eigh"):
        ours, theirs = (PCA(8, svd_solver=solver).fit(a) for a in (X, data))
        close(f"PCA, {solver}", ours.explained_variance_, theirs.explained_variance_)
        close("  projected", mx.abs(ours.transform(X)), np.abs(theirs.transform(data)))

    regressions = [make_pipeline(StandardScaler(), Ridge(solver="svd")).fit(a, t) for a, t in ((X, X[:, 20]), (data, data[:, 20]))]
    close("StandardScaler, Ridge", regressions[0].predict(X), regressions[1].predict(data))
    close("r2_score", r2_score(X[:, 20], regressions[0].predict(X)), r2_score(data[:, 20], regressions[1].predict(data)))

    for distance in (euclidean_distances, cosine_similarity, rbf_kernel):
        close(distance.__name__, distance(X[:100], X[100:200]), distance(data[:100], data[100:200]))

    # A classifier, from splitting to scoring.
    train, test, train_labels, test_labels = train_test_split(X, y, random_state=0)
    for classifier in (LinearDiscriminantAnalysis(), GaussianNB(var_smoothing=1e-3)):
        guesses = classifier.fit(train, train_labels).predict(test)
        assert isinstance(guesses, mx.array)
        score = accuracy_score(test_labels, guesses)
        on_numpy = type(classifier)(**classifier.get_params()).fit(np.array(train), np.array(train_labels)).predict(np.array(test))
        close(type(classifier).__name__, score, accuracy_score(np.array(test_labels), on_numpy), 1e-2)
        close("  confusion_matrix", confusion_matrix(test_labels, guesses), confusion_matrix(np.array(test_labels), np.array(guesses)))
        close("  f1_score", f1_score(test_labels, guesses, average="macro"), f1_score(np.array(test_labels), np.array(guesses), average="macro"))
        assert score > 0.85


if __name__ == "__main__":
    main()
