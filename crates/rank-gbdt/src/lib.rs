//! Feature ranking by depth-2 gradient boosting with early stopping.
