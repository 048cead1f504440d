"""Make the data that come with the package, out of scikit-learn's handwritten digits."""
