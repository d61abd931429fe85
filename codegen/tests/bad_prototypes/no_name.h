asmlinkage long (int a);
(int b);
