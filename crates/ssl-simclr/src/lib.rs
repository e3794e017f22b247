//! Contrastive pre-training (SimCLR) of a ResNet on unlabelled radio cutouts.
