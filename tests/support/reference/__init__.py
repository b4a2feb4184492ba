# SPDX-FileCopyrightText: The rempart authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages of docs/ that are made from the code and from test data: ``make reference`` writes them."""
