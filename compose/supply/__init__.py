"""Where what a hospital installs comes from: bill of materials, licences, known vulnerabilities, a wheel to compare."""
